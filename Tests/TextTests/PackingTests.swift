import Testing
import Text

@Suite struct PackingTests {
    @Test func `numbers come back, the largest and the smallest, too`() throws {
        let signed: [Int64] = [0, 1, -1, 63, -64, 64, 127, 128, .max, .min, 1 << 40]
        let unsigned: [UInt64] = [0, 127, 128, .max]
        var pack = Packer()
        for number in signed { pack.add(number) }
        for number in unsigned { pack.add(number) }
        pack.add(UInt32.max)
        var unpack = Unpacker(pack.bytes)
        for number in signed { #expect(try unpack.value(Int64.self) == number) }
        for number in unsigned { #expect(try unpack.value(UInt64.self) == number) }
        #expect(try unpack.value(UInt32.self) == .max)
        #expect(unpack.isAtEnd)
    }

    @Test func `texts, lists and what is missing come back`() throws {
        var pack = Packer()
        pack.add("grün")
        pack.add(["a", "", "b"])
        pack.add(String?.none)
        pack.add(Optional(true))
        pack.add(bytes: [1, 2, 3])
        var unpack = Unpacker(pack.bytes)
        #expect(try unpack.value(String.self) == "grün")
        #expect(try unpack.value([String].self) == ["a", "", "b"])
        #expect(try unpack.value(String?.self) == nil)
        #expect(try unpack.value(Bool?.self) == true)
        #expect(try unpack.content() == [1, 2, 3])
    }

    @Test func `lengths beyond the bytes, endless numbers and missing bytes are errors`() {
        func fails(_ bytes: [UInt8], _ read: (inout Unpacker) throws -> Void) -> Bool {
            var unpack = Unpacker(bytes)
            do {
                try read(&unpack)
                return false
            } catch {
                return true
            }
        }
        #expect(fails([]) { _ = try $0.byte() })
        #expect(fails([0xFF, 0xFF, 0xFF, 0xFF, 0x0F]) { _ = try $0.content() })
        #expect(fails([200, 1]) { _ = try $0.value([Bool].self) })
        #expect(fails([UInt8](repeating: 0x80, count: 12)) { _ = try $0.number() })
        #expect(fails([0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 1]) { _ = try $0.value(UInt32.self) })
    }
}
