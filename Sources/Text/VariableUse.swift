/// How a variable of a request is used.
package enum VariableUse: Sendable {
    case unused
    /// Many requests have it in common.
    case common
    /// It is about one client, or one request.
    case particular
    /// Many requests have it in common but for a part of its value.
    case divided
}
