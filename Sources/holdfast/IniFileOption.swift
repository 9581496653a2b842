internal import ArgumentParser

/// The option that names the ini file.
struct IniFileOption: ParsableArguments {
    @Option(
        name: .shortAndLong,
        help: ArgumentHelp(
            "The ini file (default: \(IniFileReader.usualPlaces)).",
            valueName: "file"
        ),
        completion: .file(extensions: ["ini"])
    )
    var config = IniFileReader.usualPath
}
