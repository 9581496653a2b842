import Testing
import Text

@testable import Core
@testable import Endpoint

@Suite struct `A client of the bus socket` {
    private let peer = BusPeer(LocalPeer(user: 1000, groups: [], isOwner: false))

    private func receive(_ text: String) {
        Array(text.utf8).withUnsafeBytes { peer.receive($0) }
    }

    private func next() -> BusReader.Piece? {
        peer.next(lineLimit: 100, bodyLimit: 100) { _ in nil }
    }

    private func answer(_ place: Int, _ text: String) -> String {
        String(decoding: peer.fill(place, Array(text.utf8)), as: UTF8.self)
    }

    private func command(_ line: Int, _ text: String) -> BusReader.Piece {
        .command(line: line, Array(text.utf8), body: nil)
    }

    // MARK: Answers

    @Test func `answers go out in the order of the commands, whichever is known first`() {
        let places = (0..<4).map { _ in peer.place() }
        #expect(answer(places[2], "c") == "" && answer(places[1], "b") == "")
        #expect(peer.outstanding == 4)
        #expect(answer(places[0], "a") == "abc" && peer.outstanding == 1)
        #expect(answer(places[3], "d") == "d" && peer.outstanding == 0)
    }

    @Test func `places go on where others have gone out meanwhile`() {
        let first = peer.place()
        let second = peer.place()
        #expect(answer(first, "a") == "a")
        let third = peer.place()
        #expect(answer(third, "c") == "" && answer(second, "b") == "bc")
    }

    @Test func `an empty answer keeps its place, and nothing else behind it`() {
        let (first, second) = (peer.place(), peer.place())
        #expect(answer(second, "b") == "")
        #expect(answer(first, "") == "b" && peer.isSettled)
    }

    // MARK: Waiting commands

    @Test
    func `a command outside the order waits until all before it are answered, and is taken once`() {
        let place = peer.place()
        peer.wait(command(2, "status"))
        #expect(peer.takeWaiting() == nil && !peer.mayGoOn(unsent: 0) && !peer.isSettled)
        _ = answer(place, "a")
        #expect(!peer.isSettled)
        #expect(peer.takeWaiting() == command(2, "status"))
        #expect(peer.takeWaiting() == nil && peer.mayGoOn(unsent: 0) && peer.isSettled)
    }

    // MARK: Whether it is read from

    @Test func `a peer with as many commands as may wait is not read from before one is answered`()
    {
        let places = (0..<BusPeer.outstandingLimit).map { _ in peer.place() }
        #expect(!peer.mayGoOn(unsent: 0))
        _ = answer(places[0], "")
        #expect(peer.mayGoOn(unsent: 0))
    }

    @Test func `a peer that does not read its answers is not read from`() {
        #expect(peer.mayGoOn(unsent: BusPeer.unsentLimit - 1))
        #expect(!peer.mayGoOn(unsent: BusPeer.unsentLimit))
    }

    @Test func `a peer that was not read from is paused until it is`() {
        #expect(!peer.isPaused)
        let mayRead = peer.read(false)
        #expect(!mayRead && peer.isPaused)
        let mayReadAgain = peer.read(true)
        #expect(mayReadAgain && !peer.isPaused)
    }

    @Test func `after the last command nothing is read`() {
        peer.end()
        #expect(!peer.mayGoOn(unsent: 0) && peer.isIdle)
    }

    @Test func `commands wait for the hello of a subscription, which goes out once`() {
        peer.subscribe()
        #expect(peer.isSubscribed && !peer.mayGoOn(unsent: 0) && !peer.isIdle)
        #expect(peer.greeted() && peer.mayGoOn(unsent: 0) && peer.isIdle)
        #expect(!peer.greeted() && peer.isSubscribed)
    }

    // MARK: Input

    @Test func `commands come one at a time, and the peer is busy until none is left`() {
        receive("ping\nstat")
        #expect(peer.hasUnparsed && !peer.isIdle)
        #expect(next() == command(1, "ping") && peer.hasUnparsed)
        #expect(next() == nil && !peer.hasUnparsed && peer.isIdle)
        receive("us\n")
        #expect(next() == command(2, "status"))
    }

    @Test func `what is left of a command is told once its peer has closed`() {
        receive("ping\nstat")
        _ = next()
        _ = next()
        // More may come.
        #expect(peer.takeRest() == nil)
        peer.inputEnded()
        #expect(peer.hasUnparsed)
        _ = next()
        #expect(peer.takeRest() == .refused(line: 2, .unfinished))
        #expect(peer.takeRest() == nil)
    }

    // MARK: Unfinished commands

    @Test func `a command that has begun counts, whenever its size has changed`() {
        #expect(!peer.noteUnfinished() && peer.unfinished == nil)
        receive("put a 10\n123")
        // Not yet: complete commands may be among these bytes.
        #expect(!peer.noteUnfinished())
        _ = next()
        #expect(peer.noteUnfinished() && peer.unfinished ?? (0, 0) == (3, 1))
        #expect(!peer.noteUnfinished())
        receive("4567")
        _ = next()
        #expect(peer.noteUnfinished() && peer.unfinished ?? (0, 0) == (7, 1))
        receive("890")
        _ = next()
        _ = next()
        #expect(peer.noteUnfinished() && peer.unfinished == nil)
    }

    @Test
    func `nothing more of a command is awaited after the peer has closed, or the last answer`() {
        receive("stat")
        _ = next()
        peer.inputEnded()
        _ = next()
        #expect(!peer.noteUnfinished() && peer.unfinished == nil)
        let other = BusPeer(LocalPeer(user: 1000, groups: [], isOwner: false))
        Array("stat".utf8).withUnsafeBytes { other.receive($0) }
        _ = other.next(lineLimit: 100, bodyLimit: 100) { _ in nil }
        other.end()
        #expect(!other.noteUnfinished() && other.unfinished == nil)
    }

    @Test func `a command that takes too long is discarded with what has come of it`() {
        #expect(peer.discardCommand() == nil)
        receive("ping\nput a 10\n123")
        _ = next()
        _ = next()
        #expect(peer.discardCommand() == 2)
        #expect(peer.discardCommand() == nil && next() == nil)
    }

    // MARK: Handing over

    @Test func `another process goes on with the half of a command, and reads it again`() {
        peer.subscribe()
        receive("ping\nstat")
        _ = next()
        _ = next()
        _ = peer.noteUnfinished()
        let other = BusPeer(peer.handed) { _ in nil }
        #expect(other.identity == peer.identity && other.isSubscribed)
        // Its hello has not gone out.
        #expect(!other.mayGoOn(unsent: 0))
        #expect(other.hasUnparsed && other.unfinished ?? (0, 0) == (4, 2))
        Array("us\n".utf8).withUnsafeBytes { other.receive($0) }
        #expect(other.next(lineLimit: 100, bodyLimit: 100) { _ in nil } == command(2, "status"))
    }

    @Test func `another process knows that the peer has closed, or is about to end`() {
        peer.inputEnded()
        _ = next()
        #expect(BusPeer(peer.handed) { _ in nil }.hasUnparsed)
        peer.end()
        #expect(!BusPeer(peer.handed) { _ in nil }.mayGoOn(unsent: 0))
    }
}

@Suite struct `The clients of the bus socket` {
    private func connection(_ index: Int32) -> ConnectionID {
        ConnectionID(index: index, generation: 1)
    }

    @Test func `they are found by their connections, and listed in the order of these`() {
        var peers = BusPeers()
        #expect(peers.isEmpty && peers.areSettled)
        for index: Int32 in [5, 3, 9] {
            let identity = LocalPeer(user: UInt32(index), groups: [], isOwner: false)
            peers.add(connection(index), BusPeer(identity))
        }
        #expect(peers.all.map(\.index) == [3, 5, 9])
        #expect(peers[connection(5)]?.identity.user == 5 && peers.identity(9)?.user == 9)
        #expect(peers[connection(4)] == nil && peers.identity(4) == nil)
        peers.remove(connection(5))
        #expect(peers.all.map(\.index) == [3, 9] && peers[connection(5)] == nil)
        #expect(peers.identity(5) == nil && !peers.isEmpty)
    }

    @Test func `they are settled when each of them is`() {
        var peers = BusPeers()
        let one = BusPeer(LocalPeer(user: 1, groups: [], isOwner: false))
        peers.add(connection(1), one)
        peers.add(connection(2), BusPeer(LocalPeer(user: 2, groups: [], isOwner: false)))
        let place = one.place()
        #expect(!peers.areSettled)
        _ = one.fill(place, [])
        #expect(peers.areSettled)
    }
}
