// swift-tools-version: 6.2
import Foundation
import PackageDescription

// scripts/test sets it: a warning of a newer toolchain must not break a user's build.
let strict = ProcessInfo.processInfo.environment["HOLDFAST_STRICT"] != nil

let common: [SwiftSetting] =
    [
        .enableUpcomingFeature("ExistentialAny"),
        .enableUpcomingFeature("InternalImportsByDefault"),
        .enableUpcomingFeature("MemberImportVisibility"),
    ] + (strict ? [.treatAllWarnings(as: .error)] : [])
// The library of regular expressions is 1.3 MB in a program, which one `contains("text")` brings in: `Text` has the like.
let settings =
    common + [
        .strictMemorySafety(),
        .unsafeFlags(["-Xfrontend", "-disable-implicit-string-processing-module-import"]),
    ]
// Overlapping accesses are looked for in debug builds, in which the tests run; a release does not pay for it.
let loop: [SwiftSetting] =
    settings + [.unsafeFlags(["-enforce-exclusivity=unchecked"], .when(configuration: .release))]
// Where size counts for more than speed: what runs once, and what people start by hand.
let cold: [SwiftSetting] =
    settings + [.unsafeFlags(["-Osize"], .when(configuration: .release))]

let deque: Target.Dependency = .product(name: "DequeModule", package: "swift-collections")
let log: Target.Dependency = .product(name: "Logging", package: "swift-log")

let collections = Package.Dependency.package(
    url: "https://github.com/apple/swift-collections",
    from: "1.6.0"
)

let package = Package(
    name: "holdfast",
    products: [.executable(name: "holdfast", targets: ["holdfast"])],
    dependencies: [
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        collections,
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
    ],
    targets: [
        .systemLibrary(name: "CLinux"),
        .systemLibrary(name: "CLibFCGI", providers: [.apt(["libfcgi-dev"])]),
        .systemLibrary(name: "CSQLite", providers: [.apt(["libsqlite3-dev"])]),
        .systemLibrary(name: "CZlib", providers: [.apt(["zlib1g-dev"])]),
        .systemLibrary(name: "CCrypto", providers: [.apt(["libssl-dev"])]),

        // Mapped files that others may shorten.
        .target(name: "CGuard"),
        // The frames of a commit in one write to SQLite's write-ahead log.
        .target(name: "CFrames", linkerSettings: [.linkedLibrary("sqlite3")]),
        // The files in BrowserClient/Resources and Engine/Resources.
        .target(name: "CEmbedded"),
        .target(name: "Embedded", dependencies: ["CEmbedded"], swiftSettings: cold),
        // PostgreSQL's client library, loaded when it is asked for.
        .target(name: "CPQ", linkerSettings: [.linkedLibrary("dl")]),
        // What happens before `main`: arguments and signals.
        .target(name: "CStart"),
        // Bytes and text, JSON both ways, what stands in URLs and header fields, hashes, lines of the log and how often
        // they are written. Pure; imports nothing.
        .target(name: "Text", swiftSettings: settings),
        .target(name: "Channels", dependencies: [deque], swiftSettings: settings),
        .target(name: "Liveness", dependencies: ["Channels", deque], swiftSettings: settings),
        // Who is asking: signed links and tokens, the keys that sign them, and a memory of verdicts. Pure, but that
        // libcrypto computes signatures.
        .target(
            name: "Identity",
            dependencies: ["CCrypto", "Channels", "Text"],
            swiftSettings: settings
        ),
        .target(
            name: "Configuration",
            dependencies: ["Channels", "Identity", "Liveness", "Text"],
            swiftSettings: cold
        ),
        .target(
            name: "Endpoint",
            dependencies: ["Channels", "Configuration", "Identity", "Liveness", "Text"],
            swiftSettings: settings
        ),
        .target(name: "FastCGI", dependencies: ["Text"], swiftSettings: settings),
        .target(
            name: "FastCGICodec",
            dependencies: ["CLibFCGI", "CLinux", "FastCGI", "System", "Text"],
            swiftSettings: loop
        ),
        // System calls as values and errors, descriptors, sockets, accounts, threads, children, small files,
        // clocks, mailboxes.
        .target(name: "System", dependencies: ["CLinux"], swiftSettings: settings),
        .target(name: "Reactor", dependencies: ["CLinux", "System"], swiftSettings: loop),
        .target(
            name: "Bus",
            dependencies: [
                "Channels", "Engine", "Liveness", "System", "Text", "CFrames", "CGuard", "CLinux",
                "CSQLite", deque,
            ],
            swiftSettings: settings
        ),
        // The log of a site of several machines, in PostgreSQL.
        .target(
            name: "Engine",
            dependencies: ["CCrypto", "Channels", "CPQ", "Embedded", "System", "Text"],
            exclude: ["Resources"],
            swiftSettings: settings
        ),
        // What is decided, without descriptors, system calls and clocks; Responder carries it out.
        .target(
            name: "Core",
            dependencies: [
                "Channels", "Configuration", "Endpoint", "FastCGI", "Liveness", "Text",
                deque,
            ],
            swiftSettings: loop
        ),
        .target(
            name: "BrowserClient",
            dependencies: ["Embedded", "Text", "CZlib"],
            exclude: ["Resources"],
            swiftSettings: cold
        ),
        .target(
            name: "Responder",
            dependencies: [
                "BrowserClient", "Bus", "Channels", "Configuration", "Core", "Endpoint", "FastCGI",
                "FastCGICodec", "Identity", "Liveness", "Reactor", "System", "Text", "CLinux",
                deque, log,
            ],
            swiftSettings: loop
        ),
        .target(
            name: "BusClient",
            dependencies: ["Bus", "Channels", "System", "Text", "CLinux"],
            swiftSettings: cold
        ),
        // What `holdfast doctor` has seen of a site → what is wrong there. Pure.
        .target(name: "Diagnosis", dependencies: ["Text"], swiftSettings: cold),
        .executableTarget(
            name: "holdfast",
            dependencies: [
                "Bus", "BusClient", "Channels", "Configuration", "Diagnosis", "Endpoint", "Engine",
                "FastCGI", "Identity", "Liveness", "Reactor", "Responder", "System", "Text",
                "CLinux", "CStart",
                log,
                .product(name: "ArgumentParser", package: "swift-argument-parser"),
            ],
            swiftSettings: cold
        ),

        .testTarget(name: "TextTests", dependencies: ["Text"], swiftSettings: common),
        .testTarget(
            name: "ChannelsTests",
            dependencies: ["Channels", "SeededRandom"],
            swiftSettings: common
        ),
        .testTarget(
            name: "LivenessTests",
            dependencies: ["Channels", "Liveness"],
            swiftSettings: common
        ),
        .testTarget(
            name: "IdentityTests",
            dependencies: ["CCrypto", "Channels", "Identity"],
            swiftSettings: common
        ),
        .testTarget(
            name: "ConfigurationTests",
            dependencies: ["Channels", "Configuration", "Identity", "Liveness", "SeededRandom"],
            swiftSettings: common
        ),
        .testTarget(
            name: "EndpointTests",
            dependencies: [
                "Channels", "Configuration", "Endpoint", "Identity", "Liveness", "SeededRandom",
                "Text",
            ],
            swiftSettings: common
        ),
        .testTarget(
            name: "FastCGITests",
            dependencies: ["FastCGI", "FastCGICodec", "SeededRandom", "Text"],
            swiftSettings: common
        ),
        .testTarget(
            name: "CoreTests",
            dependencies: [
                "Channels", "Configuration", "Core", "Endpoint", "FastCGI", "Identity",
                "Liveness", "SeededRandom", "Text",
            ],
            swiftSettings: common
        ),
        .testTarget(name: "DiagnosisTests", dependencies: ["Diagnosis"], swiftSettings: common),
        .testTarget(name: "SystemTests", dependencies: ["System"], swiftSettings: common),
        .testTarget(
            name: "ReactorTests",
            dependencies: ["CLinux", "Reactor", "System"],
            swiftSettings: common
        ),
        .testTarget(
            name: "BusTests",
            dependencies: [
                "Bus", "BusWriter", "Channels", "Engine", "Harness", "SeededRandom", "System",
                "CLinux", "CSQLite",
            ],
            swiftSettings: common
        ),
        .testTarget(
            name: "EngineTests",
            dependencies: ["Channels", "Engine", "Harness", "System", "Text"],
            swiftSettings: common
        ),
        // Random numbers that a seed repeats, for tests.
        .target(name: "SeededRandom", path: "Tests/SeededRandom", swiftSettings: common),
        // Real servers, raw peers and a browser, for the tests at the edges.
        .target(name: "Harness", path: "Tests/Harness", swiftSettings: common),
        .testTarget(
            name: "EndToEndTests",
            dependencies: ["BusClient", "Harness", "holdfast"],
            exclude: ["Support"],
            swiftSettings: common
        ),
        // A process of its own that BusTests can kill.
        .executableTarget(
            name: "BusWriter",
            dependencies: ["Bus", "Channels", "CLinux"],
            path: "Tests/BusWriter",
            swiftSettings: settings
        ),
        // Cores, their log, front ends and clients in one simulated world.
        .target(
            name: "Simulation",
            dependencies: [
                "Channels", "Configuration", "Core", "Endpoint", "FastCGI", "Identity", "Liveness",
                "Text",
            ],
            path: "Tests/Simulation",
            swiftSettings: common
        ),
        .executableTarget(
            name: "Simulate",
            dependencies: ["Simulation"],
            path: "Tests/Simulate",
            swiftSettings: common
        ),
        .testTarget(name: "SimulatorTests", dependencies: ["Simulation"], swiftSettings: common),
        .testTarget(
            name: "ResponderTests",
            dependencies: [
                "Bus", "Channels", "Configuration", "Core", "Endpoint", "FastCGI", "FastCGICodec",
                "Harness", "Identity", "Liveness", "Reactor", "Responder", "SeededRandom",
                "System", log,
            ],
            swiftSettings: common
        ),
    ],
    swiftLanguageModes: [.v6]
)

// scripts/fuzz needs few of them, and builds them from nothing with other flags.
if let only = ProcessInfo.processInfo.environment["HOLDFAST_ONLY"]?.split(separator: ",") {
    package.targets.removeAll { !only.contains(Substring($0.name)) }
    package.dependencies = only.contains("Channels") ? [collections] : []
    package.products = []
}
