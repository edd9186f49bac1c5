// A second file of the puppet, with a variable of a name that the first one uses too.
void write_rival(int value);

static volatile int twice;

void write_rival(int value) {
  twice = value;
}
