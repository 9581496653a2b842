/// The times of one turn.
struct LogTime {
    /// Milliseconds since 1970.
    var wall: Int64
    /// The retention clock's.
    var retention: Int64
    var sinceBoot: Int64
}
