import Configuration
import Testing

/// What an ini file presumes of its machine, here one with nothing but the directory /there.
@Suite struct MachineTests {
    private func problems(_ text: String) -> [String] {
        let machine = Machine(
            hasUser: { _ in false },
            hasGroup: { _ in false },
            directory: {
                $0 == "/there" ? .there : $0.hasPrefix("/file") ? .file("/file") : .missing
            },
            leftover: { _ in nil },
            unreadable: { file, directory in
                directory == "/there" ? "\(file) is not for \(directory)" : nil
            }
        )
        guard case .failure(let problems) = Settings.read(Array(text.utf8), on: machine) else {
            return []
        }
        return problems.map { $0.description(file: "f") }
    }

    @Test func `what the machine lacks was told only when the file itself was right`() {
        let found = problems(
            """
            [fastcgi]
            listen = here
            group = nobody-here
            [bus]
            directory = /none/bus
            socket = /file/bus.sock
            max_bytes = many
            [allow a]
            read = user:nobody-here
            [allow /]
            publish = group:nobody-here
            """
        )
        let beginnings = [
            "f:2: listen = here ", "f:3: [fastcgi] group = nobody-here: there is no such group",
            "f:5: [bus] directory = /none/bus: there is no directory /none",
            "f:6: [bus] socket = /file/bus.sock: /file is not a directory",
            "f:7: max_bytes = many ",
            "f:9: [allow a] read = user:nobody-here: there is no such user",
        ]
        for beginning in beginnings {
            #expect(found.count { $0.hasPrefix(beginning) } == 1, "\(beginning)")
        }
        #expect(found.contains { $0.hasPrefix("f:11: [allow /] publish = group:nobody-here") })
        // No default stands in for what could not be read.
        #expect(!found.contains { $0.contains("(the default)") })
    }

    @Test func `a key that only root can read was told only at the start`() {
        let found = problems(
            """
            [bus]
            directory = /there
            [key a]
            secret_file = /etc/a.secret
            [key b]
            algorithm = ES256
            public_key_file = /etc/b.pem
            """
        )
        #expect(
            found.filter { $0.contains("[key") } == [
                "f:4: [key a] secret_file = /etc/a.secret: /etc/a.secret is not for /there",
                "f:7: [key b] public_key_file = /etc/b.pem: /etc/b.pem is not for /there",
            ]
        )
    }

    @Test func `a default was blamed on the first line`() {
        let found = problems("# nothing\n[bus]\nsocket = none\n")
        #expect(found.count == 2)
        #expect(
            found.first?.hasPrefix(
                "f: [fastcgi] listen = /run/holdfast/holdfast.sock (the default)"
            )
                == true
        )
        #expect(found.last?.hasPrefix("f:2: [bus] directory = ") == true)
    }
}
