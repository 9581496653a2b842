/// One key of a section: its name, its form, and the property of `Target` that it sets.
///
/// Reading, printing, reloading, suggestions for misspelt names and the test of the manual all use these.
package struct SettingsKey<Target>: Sendable {
    package enum Change: Sendable {
        /// SIGHUP applies a new value.
        case reload
        /// A new value needs a restart: the old one is built into a socket, a file or a thread.
        case restart
    }

    package let name: String
    /// The allowed values: range, unit, words.
    package let allowed: String
    package let change: Change
    /// Its value is shown to nobody.
    private(set) var isHidden = false

    /// Reads the text into the property, which is unchanged if the text is wrong.
    let set: @Sendable (String, inout Target) throws(ValueError) -> Void
    /// The value as written in the file; nil if a rule does not set it.
    package let text: @Sendable (Target) -> String?
    /// Copies the value from the first target to the second.
    let copy: @Sendable (Target, inout Target) -> Void

    init<Value: Sendable>(
        _ name: String,
        _ path: any WritableKeyPath<Target, Value> & Sendable,
        _ form: ValueForm<Value>,
        _ change: Change
    ) {
        self.name = name
        self.allowed = form.allowed
        self.change = change
        set = { text, target throws(ValueError) in target[keyPath: path] = try form.read(text) }
        text = { form.write($0[keyPath: path]) }
        copy = { $1[keyPath: path] = $0[keyPath: path] }
    }

    /// The same with a value that is shown to nobody.
    func hidden() -> Self {
        var copy = self
        copy.isHidden = true
        return copy
    }

    /// A key that a rule may leave to the following rules.
    init<Value: Sendable>(
        saidBy path: any WritableKeyPath<Target, Value?> & Sendable,
        _ name: String,
        _ form: ValueForm<Value>,
        _ change: Change
    ) {
        self.name = name
        self.allowed = form.allowed
        self.change = change
        set = { text, target throws(ValueError) in target[keyPath: path] = try form.read(text) }
        text = { $0[keyPath: path].map(form.write) }
        copy = { $1[keyPath: path] = $0[keyPath: path] }
    }
}
