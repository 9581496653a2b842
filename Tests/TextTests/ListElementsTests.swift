import Testing
import Text

@Suite struct ListElementsTests {
    private func elements(
        _ text: String,
        by separator: Unicode.Scalar = ",",
        quoting: ListElements.Quoting = .escapes
    ) -> [String] {
        let source = text.utf8Span.span
        var list = ListElements(of: 0..<source.count, separator: separator, quoting: quoting)
        var found: [String] = []
        while let element = list.next(in: source) { found.append(source.text(element)) }
        return found
    }

    @Test func `elements stand without the blanks around them`() {
        #expect(elements(" a ,\tb c\t,d") == ["a", "b c", "d"])
        #expect(elements("") == [])
        #expect(elements("a,,b") == ["a", "", "b"])
    }

    @Test func `a separator in a quoted string separates nothing`() {
        #expect(elements("a=\"1,2\", b") == ["a=\"1,2\"", "b"])
        #expect(elements("\"a\\\",b\",c") == ["\"a\\\",b\"", "c"])
        #expect(elements("\"a\\\",b\",c", quoting: .plain) == ["\"a\\\"", "b\",c"])
        #expect(elements("a=\"1;2\"", by: ";", quoting: .none) == ["a=\"1", "2\""])
    }

    @Test func `a string that is not closed goes to the end`() {
        #expect(elements("a,\"b,c") == ["a", "\"b,c"])
        #expect(elements("a,\"b\\") == ["a", "\"b\\"])
    }
}
