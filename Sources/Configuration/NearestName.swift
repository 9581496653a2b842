/// The name that was probably meant, or nil if none is similar.
package func nearestName(to text: String, among names: [String]) -> String? {
    let wanted = Array(text.lowercased().utf8)
    // No name is that long, and the cost grows with the length.
    guard (1...64).contains(wanted.count) else { return nil }
    let ranked = names.map { ($0, nameDistance(wanted, Array($0.utf8))) }
    guard let best = ranked.min(by: { $0.1 < $1.1 }) else { return nil }
    return best.1 <= max(1, max(wanted.count, best.0.utf8.count) / 3) ? best.0 : nil
}

/// The number of insertions, deletions, replacements and swaps of neighbours that lead from one to the other; 1 if one
/// lacks a prefix or suffix of the other and has at least three bytes, as `wait` for `max_wait`.
private func nameDistance(_ a: [UInt8], _ b: [UInt8]) -> Int {
    if a == b { return 0 }
    let (short, long) = a.count < b.count ? (a, b) : (b, a)
    if short.count >= 3, long.starts(with: short) || long.reversed().starts(with: short.reversed())
    {
        return 1
    }
    var beforeLast: [Int] = []
    var last = Array(0...b.count)
    for i in a.indices {
        var row = [i + 1]
        for j in b.indices {
            var best = min(row[j] + 1, last[j + 1] + 1, last[j] + (a[i] == b[j] ? 0 : 1))
            if i > 0, j > 0, a[i] == b[j - 1], a[i - 1] == b[j] {
                best = min(best, beforeLast[j - 1] + 1)
            }
            row.append(best)
        }
        beforeLast = last
        last = row
    }
    return last[b.count]
}

/// `a, b and c`.
func listed(_ names: [String], lastJoinedBy word: String) -> String {
    guard let last = names.last, names.count > 1 else { return names.first ?? "" }
    return names.dropLast().joined(separator: ", ") + " \(word) " + last
}
