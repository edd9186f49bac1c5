#include "ledger.h"

Ledger ledger;

void deposit(int account, long amount) {
  const std::lock_guard lock(ledger.mutex);
  ledger.accounts[account].balance += amount;
}

// The bug this demo is about: a name that fills all 16 characters is terminated in the 17th, which
// is the lowest byte of the balance behind it.
void set_owner(int account, std::string_view name) {
  const std::lock_guard lock(ledger.mutex);
  char* out = ledger.accounts[account].owner;
  for (const char c : name.substr(0, sizeof Account::owner)) *out++ = c;
  *out = '\0';
}
