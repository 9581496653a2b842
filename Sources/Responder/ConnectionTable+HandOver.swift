internal import Core
internal import FastCGI

/// Handing connections over to another process.
extension ConnectionTable {
    /// What has come on it and is not complete, and what was noted of it.
    struct Handed {
        var hasAsked: Bool
        var isPassingOver: Bool
        var input: UnfinishedInput.Handed?
    }

    func handed(_ id: ConnectionID) -> Handed {
        let (input, isPassingOver) = interrupted(id)
        return Handed(hasAsked: hasAsked(id), isPassingOver: isPassingOver, input: input)
    }

    /// Takes over a connection of another process; it is not watched yet.
    func resume(_ descriptor: Int32, isBusSocket: Bool, _ handed: Handed) -> ConnectionID {
        let id = add(descriptor, isBusSocket: isBusSocket)
        if handed.hasAsked { used(id) }
        resume(id, handed.input, isPassingOver: handed.isPassingOver)
        return id
    }
}
