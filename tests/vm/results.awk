# The log of a guest's suite, as tests/vm/run prints it, made a table: after a line "#", its system as `uname -rm` tells it,
# and how many CPUs it starts with, one line a test, by tabs
#
#   PROGRAM  TEST  passed|failed|skipped|left-out  WHY
#
# Needs the variable left_out, as a file of tests/vm/guests has it.
BEGIN {
  OFS = "\t"
  count = split(left_out, lines, "\n")
  for (i = 1; i < count; ++i) {
    if (lines[i] !~ /^[^ ]/) continue
    split(lines[i], words, " ")
    reason = lines[i + 1]
    sub(/^ +/, "", reason)
    reasons[words[1], words[2]] = reason
  }
}

function tell(outcome, why) {
  print program, test, outcome, why
  told = 1
  test = ""
}

/^== uname/ { system_is_next = 1; next }
system_is_next && NF { print "#", $0; system_is_next = 0 }

# A program names what it does not run: a suite on a line, its tests below.
/^== [^ ]+ --gtest_list_tests/ {
  program = $2
  pattern = $4
  gsub(/^--gtest_filter=.|.$/, "", pattern)
  listing = 1
  next
}
listing && /^[^ =].*\.$/ { suite = $1 }
listing && /^  [^ ]/ {
  test = suite $1
  if (!is_left_out[program, test]++) tell("left-out", (program, pattern) in reasons ? reasons[program, pattern] : reasons["*", pattern])
}

/^== timeout/ { program = $4; test = ""; listing = told = 0; next }
/^\[ RUN      \]/ { test = $4; why = ""; explains = 0 }
/: Skipped$/ { explains = 1; next }
/^\[       OK \].* ms\)$/ { tell("passed", "") }
/^\[  SKIPPED \].* ms\)$/ { explains = 0; tell("skipped", why) }
/^\[  FAILED  \].* ms\)$/ { tell("failed", "") }
explains && NF { why = why (why == "" ? "" : " ") $0 }
# In the middle of a test, or before the first.
/^== status [^0]/ && !listing && (test != "" || !told) { tell("failed", "it ended with status " ($3 + 0)) }
