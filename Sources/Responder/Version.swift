/// The version that `holdfast --version`, `-/status` and the CHANGELOG name.
package enum Version {
    package static let current = "0.1.0"
}
