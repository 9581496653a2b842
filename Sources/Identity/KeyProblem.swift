/// Why a secret or a public key cannot be used: the rest of a sentence about it.
package struct KeyProblem: Error, Equatable {
    package let wrong: String

    package init(wrong: String) { self.wrong = wrong }
}
