// A loop also needs the system calls.
@_exported public import System
