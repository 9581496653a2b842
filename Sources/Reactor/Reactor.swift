// What a loop is made of includes what the system is asked by.
@_exported public import System
