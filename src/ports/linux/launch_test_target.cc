// Started by launch_test: ends with a status that says it ran.
int main() {
  return 21;
}
