internal import Configuration
internal import Endpoint

/// The settings in force, and how requests and commands are judged by them. A reload makes another one.
///
/// A class, so that `Core` has one reference instead of about a hundred fields: the compiler tracks every field of a
/// noncopyable value through every function.
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
