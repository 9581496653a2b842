internal import Text

/// Texts of several commands about a site of several machines.
enum SiteText {
    /// How far a machine is, or was when it last reported.
    ///
    /// - Parameter seconds: how long ago that was; nil: it is known now.
    static func standing(behind groups: Int, secondsAgo seconds: Int?) -> String {
        if groups == 0 { return (seconds ?? 0) > 60 ? "up to date then" : "up to date" }
        return "\(counted(groups, "group")) behind" + (seconds == nil ? "" : " then")
    }

    static func counted(_ count: Int, _ word: String) -> String {
        "\(count) \(word)" + (count == 1 ? "" : "s")
    }

    static func seen(secondsAgo seconds: Int) -> String {
        seconds < 120 ? "\(seconds) s ago" : "\(seconds / 60) min ago"
    }

    /// A name is any text that an operator gave; a terminal obeys control characters.
    static func machine(_ name: String, _ id: String, isOwn: Bool) -> String {
        let shown = String(
            name.unicodeScalars.map {
                $0.properties.generalCategory == .control ? "?" : Character($0)
            }
        )
        return "\(shown) (\(id))" + (isOwn ? ", this one" : "")
    }
}

/// The part of the status that is about a site of several machines.
struct SiteStatus {
    let lagMilliseconds: Int?
    let lines: [(String, String)]
    private let machines: [[String]]

    /// - Parameter engine: the member `engine` of the status.
    init(_ engine: JSONValue) {
        func number(_ name: String) -> Int { engine[name]?.integer ?? 0 }
        func counted(_ name: String, _ word: String) -> String {
            SiteText.counted(number(name), word)
        }
        lagMilliseconds = engine["lag_milliseconds"]?.integer
        let own = engine["machine"]?.string
        let all = engine["machines"]?.elements ?? []
        machines = all.map { machine in
            let id = machine["id"]?.string ?? "?"
            let seconds = machine["seen_seconds_ago"]?.integer ?? 0
            let isNow = id == own && engine["lag_groups"]?.integer != nil
            return [
                SiteText.machine(machine["name"]?.string ?? "?", id, isOwn: id == own),
                SiteText.seen(secondsAgo: seconds),
                SiteText.standing(
                    behind: machine["lag_groups"]?.integer ?? 0,
                    secondsAgo: isNow ? nil : seconds
                ),
            ]
        }
        let away = number("machines_away")
        lines = [
            (
                "site",
                "\(engine["site"]?.string ?? "?"), \(SiteText.counted(all.count, "machine"))"
                    + (away > 0 ? " (\(away) not seen for a minute)" : "")
                    + ", epoch \(engine["epoch"]?.string ?? "?")"
            ),
            ("engine", Self.standing(engine)),
            (
                "appended",
                "\(counted("groups", "group")), \(number("repeats")) repeated after a lost answer; "
                    + "\(counted("refused", "publication")) refused, \(number("unknown")) perhaps appended"
            ),
            (
                "applied",
                "\(counted("applied_messages", "message")), \(counted("epochs", "epoch")), "
                    + "\(number("losses")) of them for a loss"
            ),
            (
                "reconnected",
                "\(counted("reconnections", "time")); the log began anew \(counted("restarts", "time"))"
            ),
        ]
    }

    private static func standing(_ engine: JSONValue) -> String {
        var parts: [String] = []
        if let head = engine["head"]?.integer { parts.append("group \(head)") }
        let seconds = (engine["lag_milliseconds"]?.integer ?? 0) / 1000
        let behind = engine["lag_groups"]?.integer
        switch (behind, engine["lag_milliseconds"]?.integer) {
        case (_, nil): parts.append("not asked yet")
        case (0?, 0?), (nil, 0?): parts.append("this machine is up to date")
        case (let groups?, _) where groups > 0:
            parts.append(
                "this machine is \(SiteText.counted(groups, "group")) behind, for \(seconds) s"
            )
        default: parts.append("this machine has not been up to date for \(seconds) s")
        }
        if engine["publishing"]?.boolean == false { parts.append("nothing can be published") }
        if engine["following"]?.boolean == false {
            parts.append("what other machines publish does not arrive")
        }
        // As a rule, they are taken at once.
        if let waiting = engine["outbox_milliseconds"]?.integer, waiting >= 1000 {
            let messages = SiteText.counted(engine["outbox"]?.integer ?? 0, "message")
            parts.append(
                "about \(messages) of SQL not taken by any machine, the oldest for \(waiting / 1000) s"
            )
        }
        return parts.joined(separator: "; ")
    }

    /// A table of the machines.
    var table: [String] { Table.lines(["MACHINE", "SEEN", "STATE"], machines) }
}
