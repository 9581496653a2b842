/// The text in which the figures are told.
package enum MetricsFormat: Sendable {
    /// Prometheus' text exposition format, version 0.0.4.
    case prometheus
    /// OpenMetrics, version 1.0.0.
    case openMetrics

    /// OpenMetrics for clients that ask for it and do not prefer plain text.
    init(_ accept: String?) {
        self = asksForOpenMetrics(accept) ? .openMetrics : .prometheus
    }

    package var contentType: StaticString {
        switch self {
        case .prometheus: "text/plain; version=0.0.4; charset=utf-8"
        case .openMetrics: "application/openmetrics-text; version=1.0.0; charset=utf-8"
        }
    }
}
