import Channels
import Configuration
import Identity
import Testing

private let secret = "0123456789abcdef0123456789abcdef"

@Suite struct KeySectionTests {
    @Test func `a key is read, and rules may name it`() throws {
        let read = try settings(
            """
            [key web]
            secret = \(secret)
            audience = https://www.example.org
            cookie = session
            [key idp-2026]
            algorithm = EdDSA
            public_key_file = /etc/holdfast/idp.pem
            [allow user/**]
            read = key:web, user:www-data key:idp-2026
            publish = key:web
            """
        )
        #expect(read.keys.map(\.name) == ["web", "idp-2026"])
        #expect(read.keys[0].material == Array(secret.utf8))
        #expect(read.keys[1].algorithm == .eddsa && read.keys[1].material == [])
        #expect(
            read.allow.first?.read == .local([.user("www-data")], keys: ["web", "idp-2026"])
        )
        // What is printed can be read again, but for the secret, which is not printed.
        #expect(!read.render().contains(secret))
        #expect(read.render().contains("read = user:www-data key:web key:idp-2026"))
        #expect(read.notices().count == 1)
    }

    @Test(arguments: [
        ("[key]\nsecret = \(secret)", "section [key] lacks its name"),
        ("[key a b]\nsecret = \(secret)", "'a b' is not the name of a key"),
        ("[key web]", "[key web] needs one secret for algorithm = HS256"),
        ("[key web]\nalgorithm = ES256", "[key web] needs a public key for algorithm = ES256"),
        ("[key web]\nalgorithm = none", "is not known here; allowed: HS256, ES256 or EdDSA"),
        ("[key web]\nsecret = short", "secret = *** has only 5 bytes"),
        (
            "[key web]\nsecret = \(secret)\npublic_key_file = /a",
            "'public_key_file' has no effect with algorithm = HS256"
        ),
        (
            "[key web]\nalgorithm = ES256\npublic_key_file = /a\nsecret = \(secret)",
            "'secret' has no effect with algorithm = ES256"
        ),
        ("[key web]\nsecret = \(secret)\ncookie = a b", "is not the name of a cookie"),
        ("[allow a]\nread = key:web", "there is no section [key web]; write a section"),
        ("[allow a]\nread = key:", "has 'key:', which names nobody"),
        ("[key web]\nsecret = \(secret)\n[allow a]\nread = key:wbe", "did you mean key:web?"),
    ])
    func `what is wrong with a key is said`(text: String, part: String) {
        let found = problems(text)
        #expect(found.contains { $0.contains(part) }, "\(found)")
        #expect(!found.contains { $0.contains(secret) })
    }

    @Test func `a secret that is too short is not shown`() {
        let found = problems("[key web]\nsecret = hunter2hunter2")
        #expect(found.count == 1 && !found[0].contains("hunter2hunter2"))
    }

    @Test(arguments: ["secret_file = X", "secret X", "X", "X=", "secret = 'X"])
    func `a secret in the wrong place was shown`(line: String) {
        let secret = "0123456789abcdefQm9iMTIz0123456789abcdef"
        let found = problems("[key web]\n\(line.replacing("X", with: secret))\n")
        #expect(!found.isEmpty || line.hasPrefix("secret ="))
        #expect(found.allSatisfy { !$0.contains("0123456789abcdef") }, "\(found)")
    }

    @Test func `more keys than can be tried are refused`() {
        let text = (0...KeySettings.countLimit).map { "[key k\($0)]\nsecret = \(secret)\n" }
        #expect(problems(text.joined()).contains { $0.contains("17 [key] sections are too many") })
        #expect(problems(text.dropLast().joined()) == [])
    }

    @Test func `the files of keys are read where they are wanted, and refused by line`() throws {
        let text = "[key web]\n\n\nsecret_file = /etc/web.secret\n"
        func read(_ contents: Result<[UInt8], KeyProblem>) -> Result<
            Settings, ConfigurationProblems
        > {
            Settings.read(Array(text.utf8)) { path, isSecret in
                #expect(path == "/etc/web.secret" && isSecret)
                return contents
            }
        }
        let good = try read(.success(Array("\(secret)\n".utf8))).get()
        #expect(good.keys[0].material == Array(secret.utf8))
        for contents in [
            Result<[UInt8], KeyProblem>.success([1, 2]), .failure(KeyProblem(wrong: "is away")),
        ] {
            guard case .failure(let problems) = read(contents) else {
                Issue.record("it was read")
                continue
            }
            #expect(problems.list.map(\.line) == [4])
        }
        #expect(try settings(text).keys[0].material == [])
    }

    @Test func `a reload tells of a key whose file has changed`() throws {
        func loaded(_ secret: String) throws -> Settings {
            try Settings.read(Array("[key web]\nsecret_file = /etc/web.secret\n".utf8)) { _, _ in
                .success(Array(secret.utf8))
            }.get()
        }
        let (old, new) = (try loaded(secret), try loaded(secret + "0"))
        #expect(Settings.reloadDifferences(from: old, to: old).applied == [])
        #expect(
            Settings.reloadDifferences(from: old, to: new).applied == ["[key web] (its content)"]
        )
        #expect(old.reloaded(with: new).keys == new.keys)
    }
}
