/// Why a command that is not complete is given up.
package enum CommandEnd: Sendable {
    /// It has been arriving for longer than requests may.
    case outOfTime
    /// Others need its room.
    case crowded
}

/// The clients of the bus socket: from the bytes of their commands to the lines they are answered.
extension Core {
    /// Whether the client may be read from. If not, `.read` follows.
    package mutating func mayRead(_ connection: ConnectionID) -> Bool {
        fatalError("not written yet")
    }

    /// Bytes have come.
    package mutating func received(
        _ bytes: UnsafeRawBufferPointer,
        from connection: ConnectionID,
        at moment: Moment
    ) {
        fatalError("not written yet")
    }

    /// Says the last word to a client whose command is not complete, and keeps nothing of it.
    package mutating func endCommand(
        of connection: ConnectionID,
        _ reason: CommandEnd,
        at moment: Moment
    ) {
        fatalError("not written yet")
    }
}
