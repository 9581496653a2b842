extension [UInt8] {
    /// ISO 8601 in UTC with milliseconds, `2026-01-31T12:00:00.123Z`, or without; years outside 0 to 9999 are clamped.
    package mutating func append(timeMilliseconds time: Int64, showsMilliseconds: Bool = true) {
        let time = Swift.min(Swift.max(time, -62_167_219_200_000), 253_402_300_799_999)
        let days = time >= 0 ? time / 86_400_000 : (time - 86_399_999) / 86_400_000
        let rest = Int(time - days * 86_400_000)
        // Days to a date in the Gregorian calendar, by H. Hinnant's civil_from_days: years begin in March, so that the
        // leap day is the last one.
        let shifted = Int(days) + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra =
            (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthFromMarch = (5 * dayOfYear + 2) / 153
        let month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9
        append(yearOfEra + era * 400 + (month <= 2 ? 1 : 0), digits: 4)
        append(UInt8(ascii: "-"))
        append(month, digits: 2)
        append(UInt8(ascii: "-"))
        append(dayOfYear - (153 * monthFromMarch + 2) / 5 + 1, digits: 2)
        append(UInt8(ascii: "T"))
        append(rest / 3_600_000, digits: 2)
        append(UInt8(ascii: ":"))
        append(rest / 60_000 % 60, digits: 2)
        append(UInt8(ascii: ":"))
        append(rest / 1000 % 60, digits: 2)
        if showsMilliseconds {
            append(UInt8(ascii: "."))
            append(rest % 1000, digits: 3)
        }
        append(UInt8(ascii: "Z"))
    }
}

extension Int64 {
    /// Milliseconds since 1970 of a time as `append(timeMilliseconds:)` writes it; nil for any other text.
    package init?(timeText text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count == 24 else { return nil }
        var numbers: [Int64] = []
        for (start, length) in [(0, 4), (5, 2), (8, 2), (11, 2), (14, 2), (17, 2), (20, 3)] {
            var number: Int64 = 0
            for byte in bytes[start..<start + length] {
                guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { return nil }
                number = number * 10 + Int64(byte - UInt8(ascii: "0"))
            }
            numbers.append(number)
        }
        let (month, day) = (numbers[1], numbers[2])
        guard (1...12).contains(month), (1...31).contains(day) else { return nil }
        // The other way round, by H. Hinnant's days_from_civil.
        let year = numbers[0] - (month <= 2 ? 1 : 0)
        let era = (year >= 0 ? year : year - 399) / 400
        let yearOfEra = year - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        let dayOfEra = yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
        let days = era * 146_097 + dayOfEra - 719_468
        let seconds = ((days * 24 + numbers[3]) * 60 + numbers[4]) * 60 + numbers[5]
        self = seconds * 1000 + numbers[6]
        var written: [UInt8] = []
        written.append(timeMilliseconds: self)
        guard written == bytes else { return nil }
    }
}
