"""What gdb says of a watch, as JSON lines: the reference that trapline is compared with.

Run by gdb: WATCH=expression gdb -nx -batch -x gdb_watch.py --args PROGRAM ARGS...
Installs the watch at the program's entry point (libraries are loaded) and prints one record per change. gdb stops after
the instruction, so the one that wrote is found with gdb's own disassembler.
"""

import json
import os
import re

import gdb


def culprit(frame):
    """The address of the instruction that ends at the frame's pc."""
    function = frame
    while function.type() == gdb.INLINE_FRAME:
        function = function.older()
    start = frame.architecture() and gdb.block_for_pc(frame.pc())
    while start is not None and (start.function is None or start.superblock.function is not None):
        start = start.superblock
    instructions = frame.architecture().disassemble(start.start, frame.pc() - 1)
    last = instructions[-1]
    assert last["addr"] + last["length"] == frame.pc(), "gdb's disassembly does not meet the pc"
    return last["addr"]


def function_of(frame):
    while frame.type() == gdb.INLINE_FRAME:
        frame = frame.older()
    return frame.name()


def main():
    expression = os.environ["WATCH"]
    gdb.execute("set pagination off")
    gdb.execute("set confirm off")
    gdb.execute("set startup-with-shell off")
    gdb.execute("starti", to_string=True)
    auxv = gdb.execute("info auxv", to_string=True)
    entry = int(re.search(r"AT_ENTRY.*?(0x[0-9a-f]+)", auxv).group(1), 16)
    gdb.execute("tbreak *%#x" % entry, to_string=True)
    gdb.execute("continue", to_string=True)

    def value():
        return int(gdb.parse_and_eval("(unsigned long)(%s)" % expression))

    watch = gdb.Breakpoint(expression, gdb.BP_WATCHPOINT, gdb.WP_WRITE)
    old = value()
    while True:
        try:
            gdb.execute("continue", to_string=True)
        except gdb.error:
            break
        if gdb.selected_inferior().pid == 0 or not watch.is_valid():
            break
        frame = gdb.newest_frame()
        ip = culprit(frame)
        line = gdb.find_pc_line(ip)
        new = value()
        record = {
            "ip": "%#x" % ip,
            "symbol": function_of(frame),
            "file": os.path.basename(line.symtab.filename) if line.symtab else None,
            "line": line.line,
            "old": old,
            "new": new,
        }
        print("RECORD " + json.dumps(record), flush=True)
        old = new


main()
