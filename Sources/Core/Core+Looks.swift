internal import Channels
internal import DequeModule
internal import FastCGI

/// What waits until the shell has looked at a connection.
enum Look {
    /// A hold that has ended, and is to be counted and answered.
    case parting(Parting)
    /// A question to the log for a client that sends nothing any more.
    case question(ReadRequest)
}

/// A hold that was taken out because its client asked again or leaves.
struct Parting {
    let connection: ConnectionID
    let interest: Interest
    let signs: Holds.Signs
    let isRecent: Bool
    /// Unless its peer had left before.
    let ending: Ending
}

/// Looks at connections: the kernel may know of a departure that no event has reported yet.
extension Core {
    mutating func look(at connection: ConnectionID, _ departure: Departure, for look: Look) {
        looks.append(look)
        actions.append(.look(connection, departure))
    }

    /// Whether the answer to a hold of this id follows a look.
    func isParting(_ id: RequestID, _ connection: ConnectionID) -> Bool {
        looks.contains {
            guard case .parting(let parting) = $0 else { return false }
            return parting.connection == connection && parting.signs.held.requestID == id
        }
    }

    /// The answer to `Action.look`: in the order of these actions, and within the same event.
    package mutating func looked(hasLeft: Bool) {
        switch looks.popFirst() {
        case .parting(let parting): end(parting, hasLeft: hasLeft)
        case .question(let question): ask(question, hasLeft: hasLeft)
        case nil: preconditionFailure("nobody asked")
        }
    }
}
