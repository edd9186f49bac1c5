# docs/platforms.md of the results of guests: features first, then a table of results.awk's for each guest, whose file has
# the guest's name. `missing`: the guests without results.
BEGIN { FS = "\t"; collector_count = split("bpf perf ptrace", collectors, " ") }

function as_regex(pattern) {
  gsub(/[.+()]/, "\\\\&", pattern)
  gsub(/\*/, ".*", pattern)
  return "^" pattern
}

# The number of a note that says why: one for each reason.
function note_of(why) {
  if (!(why in notes)) {
    notes[why] = ++note_count
    note_text[note_count] = why
  }
  return "[" notes[why] "]"
}

FILENAME ~ /features$/ {
  if (/^#/ || !NF) next
  if (/^\[/) { part = substr($0, 2, length($0) - 2); next }
  colon = index($0, ": ")
  row = ++row_count
  row_part[row] = part
  row_name[row] = substr($0, 1, colon - 1)
  pattern_count[row] = split(substr($0, colon + 2), patterns, " ")
  for (i = 1; i <= pattern_count[row]; ++i) row_pattern[row, i] = as_regex(patterns[i])
  next
}
FNR == 1 {
  guest = FILENAME
  sub(/.*\//, "", guest)
  guests[++guest_count] = guest
  systems[guest] = $2
  next
}
{
  name = $2
  collector = ""
  for (i = 1; i <= collector_count; ++i) {
    ending = "/" collectors[i]
    if (substr(name, length(name) - length(ending) + 1) == ending) collector = collectors[i]
  }
  if (collector != "") name = substr(name, 1, length(name) - length(collector) - 1)
  ++totals[guest, $3]
  if ($3 != "passed" && $3 != "failed") ++reason_counts[guest, $4]
  for (row = 1; row <= row_count; ++row) {
    for (i = 1; i <= pattern_count[row]; ++i) {
      if (name !~ row_pattern[row, i] "$") continue
      ++tests[row, guest, collector]
      if ($3 == "passed") ++passes[row, guest, collector]
      else if ($3 == "failed") why_not[row, guest, collector] = why_not[row, guest, collector] SUBSEP "it failed"
      else if (index(why_not[row, guest, collector], $4) == 0) why_not[row, guest, collector] = why_not[row, guest, collector] SUBSEP $4
    }
  }
}

function cell(row, guest, collector,    key, text, count, reasons, i) {
  key = row SUBSEP guest SUBSEP collector
  if (!(key in tests)) return "–"
  text = passes[key] == tests[key] ? "yes" : passes[key] + 0 == 0 ? "no" : (passes[key] " of " tests[key])
  count = split(substr(why_not[key], 2), reasons, SUBSEP)
  for (i = 1; i <= count; ++i) text = text " " note_of(reasons[i])
  return text
}

function table(part, has_collectors,    row, g, c, heading, line) {
  heading = "| |"
  line = "|---|"
  for (g = 1; g <= guest_count; ++g) {
    for (c = 1; c <= (has_collectors ? collector_count : 1); ++c) {
      heading = heading " " guests[g] (has_collectors ? " " collectors[c] : "") " |"
      line = line "---|"
    }
  }
  print "\n" heading "\n" line
  for (row = 1; row <= row_count; ++row) {
    if (row_part[row] != part) continue
    line = "| " row_name[row] " |"
    for (g = 1; g <= guest_count; ++g) {
      for (c = 1; c <= (has_collectors ? collector_count : 1); ++c)
        line = line " " cell(row, guests[g], has_collectors ? collectors[c] : "") " |"
    }
    print line
  }
}

END {
  print "# What works where\n"
  print "Written by `tests/vm/platforms` from the results of the tests in emulated machines, each with Debian's own kernel: do not edit."
  print "A cell counts the tests behind its row (`tests/vm/features`); – : there is none. The numbers lead to reasons below."
  if (missing != "") print "Not run, so not here:" missing "."
  print "\n## `trapline watch`, by collector"
  table("trapline watch", 1)
  print "\n## The library"
  table("library", 0)
  print "\n## Why not"
  for (i = 1; i <= note_count; ++i) print (i == 1 ? "\n" : "") "- [" i "] " note_text[i]
  print "\n## Tests\n"
  print "| guest | system | passed | failed | skipped | left out |\n|---|---|---|---|---|---|"
  for (g = 1; g <= guest_count; ++g) {
    guest = guests[g]
    printf "| %s | %s | %d | %d | %d | %d |\n", guest, systems[guest], totals[guest, "passed"], totals[guest, "failed"], totals[guest, "skipped"], totals[guest, "left-out"]
  }
}
