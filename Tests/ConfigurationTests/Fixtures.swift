import Channels
import Configuration
import Foundation

/// The problems of a text as `f:line: sentence`; empty if it reads.
func problems(_ text: String) -> [String] {
    problems(Array(text.utf8))
}

func problems(_ bytes: [UInt8]) -> [String] {
    switch Settings.read(bytes) {
    case .success: []
    case .failure(let problems): problems.map { $0.description(file: "f") }
    }
}

func settings(_ text: String) throws -> Settings {
    try Settings.read(Array(text.utf8)).get()
}

/// A file of conf/, beside which the tests are compiled.
func conf(_ name: String) throws -> String {
    // By the working directory first: `swift test` runs in the package's root.
    let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
    let places = [
        URL(fileURLWithPath: "conf"), source.appendingPathComponent("../../conf").standardized,
    ]
    for place in places {
        if let text = try? String(contentsOf: place.appendingPathComponent(name), encoding: .utf8) {
            return text
        }
    }
    throw CocoaError(.fileNoSuchFile)
}
