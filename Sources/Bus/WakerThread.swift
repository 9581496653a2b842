import CLinux
import Channels
import Synchronization
import System

/// The waker thread: waits on the wake page and follows what another process committed.
struct WakerThread {
    let shared: LogShared
    let reader: SharedReader

    func run() {
        while !shared.stopping.load(ordering: .acquiring) {
            let bell = shared.wakerBell.value
            guard let opened = shared.position.opened else {
                if shared.stopping.load(ordering: .acquiring) { return }
                shared.wakerBell.wait(whileEqual: bell, milliseconds: 1000)
                continue
            }
            let seen = opened.page.bellValue
            let position = shared.position
            if shared.stopping.load(ordering: .acquiring) { return }
            if opened.page.head > max(position.head, position.committed)
                || opened.page.isOfAnotherEpoch(than: opened.epochs.current.name)
            {
                // The reader thread checks again when it has answered its present requests.
                if !reader.turnIfFree() { shared.readerBox.post(.follow) }
            }
            opened.page.wait(whileEqual: seen, milliseconds: 1000)
        }
    }
}
