/// A machine of a site: a random number that it has for as long as it is part of the site.
package struct MachineID: Hashable, Comparable, Sendable, BitwiseCopyable, CustomStringConvertible {
    package let number: UInt64

    package init(_ number: UInt64) { self.number = number }

    /// Nil unless it is a hexadecimal number of at most 16 digits.
    package init?(_ text: some StringProtocol) {
        guard let number = UInt64(text, radix: 16) else { return nil }
        self.number = number
    }

    package var description: String { String(number, radix: 16) }

    package static func < (a: MachineID, b: MachineID) -> Bool { a.number < b.number }
}

/// The machines that share the log by an engine, as far as this process knows.
package struct SiteMachines: Equatable, Sendable {
    /// This one.
    package let own: MachineID
    /// Those that report to the engine, this one included, each with the offset up to which its log may lack what
    /// others have, because it began anew or is full. Nil: another process of this machine knows that, if any.
    package let present: [MachineID: Offset]?
    /// The greatest of these offsets.
    package let lacking: Offset

    package init(own: MachineID, present: [MachineID: Offset]? = nil) {
        self.own = own
        self.present = present
        lacking = present?.values.max() ?? .start
    }

    /// Whether the machine has not reported to the engine for a while; false if this process does not know.
    package func hasLost(_ machine: MachineID) -> Bool {
        present.map { $0[machine] == nil } ?? false
    }

    /// Whether the machine is there, and its log has what is at this offset.
    package func has(_ offset: Offset, at machine: MachineID) -> Bool {
        present?[machine].map { $0 < offset } ?? false
    }
}
