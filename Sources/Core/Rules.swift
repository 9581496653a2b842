internal import Configuration
internal import Endpoint

/// The settings in force, and how requests and commands are judged by them. A reload makes another one.
///
/// A class, so that `Core` has one reference in the place of some hundred fields: the compiler follows each field of a value
/// that can't be copied through each function.
final class Rules {
    let settings: Settings
    let interface: HTTPInterface
    let busInterface: BusInterface

    /// - Parameter links: that of the rules whose place these take.
    init(
        _ settings: Settings,
        numbers: [LocalPrincipal: UInt32],
        links: LinkTally = LinkTally()
    ) {
        self.settings = settings
        interface = HTTPInterface(settings: settings, links: links)
        busInterface = BusInterface(settings: settings, numbers: numbers)
    }
}
