import CLinux
import Channels
import Glibc

/// What the witness remembers about the log: enough to tell a log that was rolled back from one that was restarted.
struct Witness: Equatable, Sendable {
    var log: FileIdentity
    var head: Int64
    /// Name of the boot during which it was written.
    var boot: String
    var epoch: String
    /// Whether every commit was synced to the disk before it was acknowledged.
    var synced: Bool
    /// Of the write-ahead log that belongs to the log; 0: there was none.
    var walInode: UInt64

    /// How far the log was told.
    var position: Channels.Cursor? {
        Epoch(epoch).map { Channels.Cursor(epoch: $0, offset: Offset(head)) }
    }

    /// Whether the file is the one meant; its device may have another number after a reboot.
    func names(_ file: FileIdentity, boot: String) -> Bool {
        log.inode == file.inode && (self.boot != boot || log.device == file.device)
    }
}

/// The file `wake`: a page that all processes of the bus map. One word of it is the bell everybody waits on; the
/// rest is the witness.
///
/// ```
/// 0  magic and version, 8 bytes    8  bell (futex), u32     12  1: every commit synced, u32
/// 16 newest committed offset, u64  24 device, u64           32  inode, u64
/// 40 boot name, 40 bytes           80 epoch name, 16 bytes   96  inode of the
/// write-ahead log, u64             4096 end
/// ```
/// Numbers are in the machine's byte order; names end at the first zero. The witness is written under the gate;
/// bell and offset are atomic and may be read by anyone.
@safe final class WakePage: @unchecked Sendable {
    private static let magic: UInt64 = 0x0100_454b_4157_4648  // "HFWAKE", 0, 1
    private static let size = 4096

    let identity: FileIdentity
    // Mapped until deinit; accessed by atomic operations or under the gate, as said above.
    private let page: UnsafeMutableRawPointer

    /// Maps the file, made if need be. Whether it holds a witness is `witness`'s answer.
    init(_ directory: BusDirectory) throws(LogProblem) {
        let path = directory.wakePath
        let file = unsafe open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0o660)
        guard file >= 0 else { throw BusDirectory.problem("open", path) }
        defer { close(file) }
        guard let found = FileIdentity(descriptor: file) else {
            throw BusDirectory.problem("look at", path)
        }
        identity = found
        if lseek(file, 0, SEEK_END) == 0 { directory.adopt(file) }
        // Without its blocks a write to the page on a full disk would be a SIGBUS.
        let code = posix_fallocate(file, 0, Self.size)
        guard code == 0 else {
            errno = code
            throw BusDirectory.problem("allocate", path)
        }
        let mapped = unsafe mmap(nil, Self.size, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)
        guard let mapped = unsafe mapped, unsafe mapped != UnsafeMutableRawPointer(bitPattern: -1)
        else {
            throw BusDirectory.problem("map", path)
        }
        unsafe page = mapped
    }

    deinit { _ = unsafe munmap(page, Self.size) }

    private var bell: UnsafeMutablePointer<UInt32> {
        unsafe (page + 8).assumingMemoryBound(to: UInt32.self)
    }
    private var headWord: UnsafeMutablePointer<UInt64> {
        unsafe (page + 16).assumingMemoryBound(to: UInt64.self)
    }

    var bellValue: UInt32 { unsafe clinux_load32(bell) }

    /// Wakes the waiting thread of every process.
    func ring() {
        unsafe clinux_add32(bell, 1)
        _ = unsafe clinux_futex_wake_all(bell)
    }

    func wait(whileEqual seen: UInt32, milliseconds: Int64) {
        var time = timespec(milliseconds: milliseconds)
        _ = unsafe clinux_futex_wait(bell, seen, &time)
    }

    /// The newest committed offset that any process told.
    var head: Int64 {
        get { unsafe Int64(bitPattern: clinux_load64(headWord)) }
        set { unsafe clinux_store64(headWord, UInt64(bitPattern: newValue)) }
    }

    var epoch: String { text(at: 80, limit: 16) }

    /// Whether every commit is on the disk. Set under the gate only; on the disk itself when it returns.
    var isSynced: Bool {
        get { unsafe page.load(fromByteOffset: 12, as: UInt32.self) == 1 }
        set {
            unsafe page.storeBytes(of: newValue ? 1 : 0, toByteOffset: 12, as: UInt32.self)
            _ = unsafe msync(page, Self.size, MS_SYNC)
        }
    }

    /// Under the gate only. Nil: the page is new, or was not written by us.
    var witness: Witness? {
        get {
            guard unsafe page.load(as: UInt64.self) == Self.magic else { return nil }
            return unsafe Witness(
                log: FileIdentity(
                    device: page.load(fromByteOffset: 24, as: UInt64.self),
                    inode: page.load(fromByteOffset: 32, as: UInt64.self)
                ),
                head: head,
                boot: text(at: 40, limit: 40),
                epoch: text(at: 80, limit: 16),
                synced: isSynced,
                walInode: page.load(fromByteOffset: 96, as: UInt64.self)
            )
        }
    }

    /// Under the gate only. Killed half-way, it leaves no witness, which ends as a new epoch.
    func write(_ witness: Witness) {
        unsafe page.storeBytes(of: 0, as: UInt64.self)
        unsafe page.storeBytes(of: witness.synced ? 1 : 0, toByteOffset: 12, as: UInt32.self)
        unsafe page.storeBytes(of: witness.log.device, toByteOffset: 24, as: UInt64.self)
        unsafe page.storeBytes(of: witness.log.inode, toByteOffset: 32, as: UInt64.self)
        unsafe page.storeBytes(of: witness.walInode, toByteOffset: 96, as: UInt64.self)
        store(witness.boot, at: 40, limit: 40)
        store(witness.epoch, at: 80, limit: 16)
        head = witness.head
        unsafe page.storeBytes(of: Self.magic, as: UInt64.self)
        // That something is not synced is said before it is committed.
        _ = unsafe msync(page, Self.size, MS_SYNC)
    }

    private func text(at start: Int, limit: Int) -> String {
        let bytes = unsafe UnsafeRawBufferPointer(start: page + start, count: limit)
        return unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }

    private func store(_ text: String, at start: Int, limit: Int) {
        let bytes = Array(text.utf8.prefix(limit))
        for index in 0..<limit {
            let byte = index < bytes.count ? bytes[index] : 0
            unsafe page.storeBytes(of: byte, toByteOffset: start + index, as: UInt8.self)
        }
    }
}
