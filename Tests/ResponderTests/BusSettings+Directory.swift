import Channels
import Harness

extension BusSettings {
    /// A bus and its socket in a test's own directory.
    init(in directory: TestDirectory) throws {
        self.init()
        self.directory = try directory.makeDirectory("bus")
        socket = directory.file("bus.sock")
    }
}
