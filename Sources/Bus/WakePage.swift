import CGuard
import CLinux
import Channels
import Glibc
import System

/// A record of the log: enough to distinguish a log that was rolled back from one that was closed in order.
struct LogWitness: Equatable, Sendable {
    var files: LogFileSet
    var head: Int64
    /// Name of the boot during which it was written.
    var boot: String
    var epoch: String
    /// Whether every commit was synced to the disk before it was acknowledged.
    var synced: Bool

    /// How far the log was reported.
    var position: Channels.Cursor? {
        Epoch(epoch).map { Channels.Cursor(epoch: $0, offset: Offset(head)) }
    }

    /// Whether the file is the one meant.
    func names(_ file: FileIdentity, boot: String) -> Bool {
        file.isSame(as: files.log, sameBoot: self.boot == boot)
    }
}

/// The file `wake`: the bell that all processes of the bus wait on, and the witness.
///
/// ```
/// 0   magic and version, 8 bytes      8  bell (futex), u32     12  1: every commit synced, u32
/// 16  newest committed offset, u64
/// 24  this file itself   48  log.sqlite   72  log.sqlite-wal   96  log.sqlite-shm: each device, inode, birth, u64
/// 120 boot name, 40 bytes             160 epoch name, 16 bytes                            4096 end
/// ```
/// Numbers are in the machine's byte order; a file with inode 0 was not there; names end at the first zero. The witness
/// and the offset are written under the gate, the bell by anyone at any time.
///
/// The file is mapped for the futex, which the kernel works on. Everything else is read and written by system calls: if
/// the file is shortened while it is open, for example by copying over it, that is a short read and not a SIGBUS in
/// every process. Only the newest offset, which every poll reads, and what each turn of the writer reads come from a
/// mapping of their own: beyond the file's end, the guard replaces it by zeros.
@safe final class WakePage: @unchecked Sendable {
    private static let magic: UInt64 = 0x0200_454b_4157_4648  // "HFWAKE", 0, 2
    private static let size = 4096
    private static let bell = 8
    private static let synced = 12
    private static let head = 16
    private static let epoch = 160
    private static let end = 176

    let identity: FileIdentity
    private let boot: String
    /// The bits of the bell on which this process waits.
    private let bits = WakePage.someBits()
    // Both open until deinit.
    private let file: Int32
    private let page: UnsafeMutableRawPointer
    /// Guarded; nil if there is none.
    private let mirror: UnsafeMutableRawPointer?

    /// Opens the file, made if need be. Whether it holds a witness is for `witness` to say.
    ///
    /// - Parameter boot: the name of the running boot.
    init(_ directory: BusDirectory, boot: String) throws(LogError) {
        self.boot = boot
        let path = directory.wakePath
        let file = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o660)
        guard file >= 0 else { throw BusDirectory.problem("open", path) }
        do throws(LogError) {
            guard let found = fileStatus(file, "") else {
                throw BusDirectory.problem("look at", path)
            }
            if found.bytes == 0 { directory.adopt(file) }
            // The word to wait on must exist, and a full disk must not prevent writing the witness.
            let code = posix_fallocate(file, 0, Self.size)
            guard code == 0 else {
                errno = code
                throw BusDirectory.problem("allocate", path)
            }
            let mapped = unsafe mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
            guard let mapped = unsafe mapped,
                unsafe mapped != UnsafeMutableRawPointer(bitPattern: -1)
            else { throw BusDirectory.problem("map", path) }
            identity = found.identity
            self.file = file
            unsafe page = mapped
            unsafe mirror = Self.guardedMapping(of: file)
        } catch {
            close(file)
            throw error
        }
    }

    private static func guardedMapping(of file: Int32) -> UnsafeMutableRawPointer? {
        guard let mapped = unsafe mmap(nil, size, PROT_READ, MAP_SHARED, file, 0),
            unsafe mapped != UnsafeMutableRawPointer(bitPattern: -1)
        else { return nil }
        guard unsafe cguard_add(mapped, size) == 0 else {
            _ = unsafe munmap(mapped, size)
            return nil
        }
        return unsafe mapped
    }

    deinit {
        if let mirror = unsafe mirror {
            unsafe cguard_remove(mirror)
            _ = unsafe munmap(mirror, Self.size)
        }
        _ = unsafe munmap(page, Self.size)
        close(file)
    }

    // MARK: The bell

    private var word: UnsafeMutablePointer<UInt32> {
        unsafe (page + Self.bell).assumingMemoryBound(to: UInt32.self)
    }

    var bellValue: UInt32 { read(UInt32.self, at: Self.bell) ?? 0 }

    /// Wakes the waiting thread of every other process.
    func ringForOthers() { ring(for: ~bits) }

    /// The same after `note`, which changes the bell.
    func wakeOthers() { _ = unsafe clinux_futex_wake_bits(word, ~bits) }

    /// Wakes the waiting thread of every process, this one's too.
    func ringForAll() { ring(for: .max) }

    private func ring(for bits: UInt32) {
        // Nothing waits on the second half of the magic.
        _ = unsafe clinux_futex_add(word, word - 1)
        _ = unsafe clinux_futex_wake_bits(word, bits)
    }

    /// 16 of the 32 bits by which the kernel selects waiters, at random: none of the 601,080,390 choices contains
    /// another, so a process can wake all others without waking itself. Two processes with the same choice do not wake
    /// each other; each still checks once a second.
    private static func someBits() -> UInt32 {
        (0..<32).shuffled().prefix(16).reduce(0) { $0 | 1 << UInt32($1) }
    }

    func wait(whileEqual seen: UInt32, milliseconds: Int64) {
        let at = MonotonicClock.milliseconds() + milliseconds
        var end = timespec(tv_sec: Int(at / 1000), tv_nsec: Int(at % 1000) * 1_000_000)
        if unsafe clinux_futex_wait_bits(word, seen, &end, bits) != 0, errno == EFAULT {
            // Shortened: the writer finds that out within a second.
            _ = poll(nil, 0, Int32(clamping: milliseconds))
        }
    }

    // MARK: The witness

    /// The newest committed offset that any process reported.
    var head: Int64 {
        var found =
            unsafe mirror.map { mirror in
                unsafe cguard_load((mirror + Self.head).assumingMemoryBound(to: Int64.self))
            } ?? 0
        // A new log's, or zeros in place of a shortened file.
        if found == 0 { found = read(Int64.self, at: Self.head) ?? 0 }
        return isPlausible(found) ? found : 0
    }

    /// Under the gate: notes the newest committed offset, and changes the bell, with one system call.
    ///
    /// A process that reads the bell and then the offset, and waits, must not miss what comes in between, so the bell
    /// must differ from what it was. It does, since the offset is another and fewer than 256 rings come in between.
    func note(head: Int64, isSynced: Bool) {
        let bell = UInt32(truncatingIfNeeded: head) << 8
        let words: (UInt32, UInt32, Int64) = (bell, isSynced ? 1 : 0, head)
        _ = unsafe withUnsafeBytes(of: words) {
            unsafe pwrite(file, $0.baseAddress, $0.count, Self.bell)
        }
    }

    /// Whether the newest messages belong to another epoch; false if the file has been shortened.
    func isOfAnotherEpoch(than name: String) -> Bool {
        var bytes = [UInt8](repeating: 0, count: 16)
        guard unsafe pread(file, &bytes, bytes.count, Self.epoch) == bytes.count else {
            return false
        }
        return String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self) != name
    }

    /// Whether every commit is on the disk, which one process that does not sync makes false.
    var isSynced: Bool { read(UInt32.self, at: Self.synced) == 1 }

    /// Under the gate: notes that; it is on the disk when this returns.
    func note(isSynced: Bool) {
        write(UInt32(isSynced ? 1 : 0), at: Self.synced)
        _ = fdatasync(file)
    }

    /// What a turn of the writer needs to know of the witness.
    struct Note {
        var head: Int64
        var isSynced: Bool
    }

    /// Under the gate only. Nil: there is no witness, or not of these files.
    func note(of files: LogFileSet) -> Note? {
        // If the file was shortened, there are zeros.
        if let mirror = unsafe mirror,
            let note = unsafe note(of: files, in: UnsafeRawPointer(mirror))
        {
            return note
        }
        let note: Note? = unsafe withUnsafeTemporaryAllocation(
            byteCount: Self.end,
            alignment: MemoryLayout<UInt64>.alignment
        ) { bytes in
            guard unsafe pread(file, bytes.baseAddress, Self.end, 0) == Self.end,
                let start = bytes.baseAddress
            else { return nil }
            return unsafe self.note(of: files, in: UnsafeRawPointer(start))
        }
        if let note { return note }
        // A device may have another number than during the boot in which the witness was written.
        guard let witness, witness.files == files else { return nil }
        return Note(head: witness.head, isSynced: witness.synced)
    }

    private func note(of files: LogFileSet, in bytes: UnsafeRawPointer) -> Note? {
        func number(_ at: Int) -> UInt64 {
            unsafe UInt64(
                bitPattern: cguard_load((bytes + at).assumingMemoryBound(to: Int64.self))
            )
        }
        func names(_ file: FileIdentity?, _ at: Int) -> Bool {
            guard let file else { return number(at + 8) == 0 }
            return number(at) == file.device && number(at + 8) == file.inode
                && number(at + 16) == UInt64(bitPattern: file.birth)
        }
        let head = Int64(bitPattern: number(Self.head))
        guard number(0) == Self.magic, isPlausible(head), names(identity, 24),
            names(files.log, 48), names(files.writeAhead, 72), names(files.index, 96)
        else { return nil }
        // The second half of the word is the flag, the first one the bell.
        return Note(head: head, isSynced: number(Self.bell) >> 32 == 1)
    }

    /// Under the gate only. Nil: the file is new, was not written by us, or is a copy.
    var witness: LogWitness? {
        if case .witness(let witness) = content { witness } else { nil }
    }

    /// The file was written under another name or in another directory, and proves nothing here. Under the gate only.
    var isCopied: Bool { content == .copied }

    private enum Content: Equatable {
        case none, copied
        case witness(LogWitness)
    }

    private var content: Content {
        var bytes = [UInt8](repeating: 0, count: Self.end)
        guard unsafe pread(file, &bytes, bytes.count, 0) == bytes.count else { return .none }
        func number(_ at: Int) -> UInt64 {
            unsafe bytes.withUnsafeBytes { unsafe $0.load(fromByteOffset: at, as: UInt64.self) }
        }
        func text(_ at: Int, _ limit: Int) -> String {
            String(decoding: bytes[at..<at + limit].prefix { $0 != 0 }, as: UTF8.self)
        }
        func identity(_ at: Int) -> FileIdentity? {
            let inode = number(at + 8)
            guard inode != 0 else { return nil }
            let birth = Int64(bitPattern: number(at + 16))
            return FileIdentity(device: number(at), inode: inode, birth: birth)
        }
        let head = Int64(bitPattern: number(Self.head))
        guard number(0) == Self.magic, isPlausible(head) else { return .none }
        let witness = LogWitness(
            files: LogFileSet(log: identity(48), writeAhead: identity(72), index: identity(96)),
            head: head,
            boot: text(120, 40),
            epoch: text(Self.epoch, 16),
            synced: isSynced
        )
        let isOwn = self.identity.isSame(as: identity(24), sameBoot: witness.boot == boot)
        return isOwn ? .witness(witness) : .copied
    }

    /// Under the gate only. A process killed half-way leaves no witness, which leads to a new epoch.
    func write(_ witness: LogWitness) {
        var bytes = [UInt8](repeating: 0, count: Self.end)
        func put(_ number: UInt64, _ at: Int) {
            unsafe bytes.withUnsafeMutableBytes {
                unsafe $0.storeBytes(of: number, toByteOffset: at, as: UInt64.self)
            }
        }
        func put(_ text: String, _ at: Int, _ limit: Int) {
            for (index, byte) in text.utf8.prefix(limit).enumerated() { bytes[at + index] = byte }
        }
        func put(_ file: FileIdentity?, _ at: Int) {
            guard let file else { return }
            put(file.device, at)
            put(file.inode, at + 8)
            put(UInt64(bitPattern: file.birth), at + 16)
        }
        put(UInt64(bitPattern: witness.head), Self.head)
        put(identity, 24)
        put(witness.files.log, 48)
        put(witness.files.writeAhead, 72)
        put(witness.files.index, 96)
        put(witness.boot, 120, 40)
        put(witness.epoch, Self.epoch, 16)
        write(UInt64(0), at: 0)
        write(UInt32(witness.synced ? 1 : 0), at: Self.synced)
        _ = unsafe bytes.withUnsafeBytes {
            unsafe pwrite(file, $0.baseAddress! + Self.head, Self.end - Self.head, Self.head)
        }
        write(Self.magic, at: 0)
        // "Not synced" must be on the disk before the first commit that is not.
        _ = fdatasync(file)
    }

    private func read<Number: FixedWidthInteger>(_: Number.Type, at offset: Int) -> Number? {
        var number: Number = 0
        let size = MemoryLayout<Number>.size
        return unsafe pread(file, &number, size, offset) == size ? number : nil
    }

    private func write(_ number: some FixedWidthInteger, at offset: Int) {
        var number = number
        _ = unsafe pwrite(file, &number, MemoryLayout.size(ofValue: number), offset)
    }
}
