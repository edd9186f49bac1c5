// A library the puppet loads and unloads.
int plugin_state;

__attribute__((visibility("default"))) void touch_plugin(void) {
  plugin_state++;
}
