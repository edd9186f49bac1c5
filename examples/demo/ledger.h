// The demo's bank: accounts with an owner's name and a balance.
#pragma once

#include <mutex>
#include <string_view>

inline constexpr int kAccounts = 4;

struct Account {
  char owner[16];
  long balance;
};

struct Ledger {
  std::mutex mutex;
  Account accounts[kAccounts];
};

extern Ledger ledger;

void deposit(int account, long amount);
void set_owner(int account, std::string_view name);
