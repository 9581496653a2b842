/// `[engine]`: the site's PostgreSQL, which keeps the order of messages of several machines.
package struct EngineSettings: Equatable, Sendable {
    /// As libpq's connection string, with one host or several.
    package var postgresql: String
    package var schema = "holdfast"
    /// How long the engine keeps groups for machines that are away.
    package var keepSeconds = 3600
    /// And how many bytes of them, at the most.
    package var keepBytes = 4 << 30
    /// How long one host may take to accept a connection.
    package var connectSeconds = 1
    /// For how long this machine may lack what others have published and still be ready.
    package var maxLagSeconds = 10

    package init(postgresql: String) { self.postgresql = postgresql }
}
