import Core
import FastCGI
import Testing
import Text

@testable import Responder

/// What the shell hands over of connections.
@Suite struct `A batch of connections that is handed over` {
    private func bytes(_ shells: [HandedShellConnection]) -> [UInt8] {
        // The core's part: no interest, and a connection of six zeros for each.
        HandedBatch.bytes(shells) { pack in
            pack.add(number: 0)
            pack.add(bytes: shells.flatMap { _ in [UInt8](repeating: 0, count: 7) })
        }
    }

    private func shell(
        _ input: UnfinishedInput.Handed? = nil,
        _ output: Output.Handed? = nil
    ) -> HandedShellConnection {
        HandedShellConnection(
            table: .init(hasAsked: true, isPassingOver: false, input: input),
            output: output
        )
    }

    private func half() -> RequestAssembler {
        var assembler = RequestAssembler(limits: FramingLimits())
        let request = Record.request(id: .first, variables: [(Array("NAME".utf8), [1, 2, 3])])
        Array(request[..<30]).withUnsafeBytes { assembler.receive($0) { _ in } }
        return assembler
    }

    private var samples: [HandedShellConnection] {
        let piece = [UInt8](repeating: 7, count: 300)
        return [
            shell(.init(since: 17, assembler: half(), command: nil)),
            shell(.init(since: 18, assembler: nil, command: (bytes: 5, line: 3))),
            shell(nil, .init(pieces: [piece, [1, 2]], sent: 100, progressedAt: 19)),
            shell(nil, .init(pieces: [piece], sent: 0, progressedAt: 20)),
        ]
    }

    @Test func `is the same on the other side, and what is unsent twice goes over once`() throws {
        let packed = bytes(samples)
        #expect(packed.count < 700)
        let found = try HandedBatch(packed, limits: FramingLimits()).shells
        #expect(found.count == 4 && found.allSatisfy { $0.table.hasAsked })
        #expect(found[0].table.input?.since == 17)
        #expect(found[0].table.input?.assembler?.oldestUnfinished == half().oldestUnfinished)
        let command = found[1].table.input
        #expect(command?.since == 18 && command?.command ?? (0, 0) == (5, 3))
        #expect(found[2].output?.pieces.map(\.count) == [300, 2] && found[2].output?.sent == 100)
        #expect(found[3].output?.pieces.map(\.count) == [300])
    }

    @Test func `an unfinished command has begun when it began in the other process`() {
        var unfinished = UnfinishedInput()
        unfinished.resume(.init(since: 1000, assembler: nil, command: (5, 3)), 7)
        // The core counts it again, and somewhat later more of it.
        for bytes in [5, 9] {
            var kept = Kept()
            kept.command = (bytes, 3)
            unfinished.keep(kept, 7, now: 5000)
        }
        #expect(!unfinished.tidy() && unfinished.bytes == 9)
        #expect(unfinished.overdue(milliseconds: 4000, now: 5000).isEmpty)
        #expect(unfinished.overdue(milliseconds: 3999, now: 5000) == [7])
    }

    @Test(arguments: 0..<300)
    func `damaged bytes are an error, or something else, but no trap`(seed: Int) {
        var damaged = bytes(samples)
        // What surrounds the pieces is more likely to be hit than their content.
        let place = (seed % 2 == 0 ? 0 : 300) + seed * 7919 % (damaged.count - 300)
        if seed % 5 == 0 {
            damaged.removeSubrange(place...)
        } else {
            damaged[place] = UInt8(truncatingIfNeeded: seed * 37)
        }
        guard let batch = try? HandedBatch(damaged, limits: FramingLimits()) else { return }
        let output = Output()
        for (index, shell) in batch.shells.enumerated() {
            if let unsent = shell.output { output.resume(unsent, Int32(index)) }
        }
    }
}
