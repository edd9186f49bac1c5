// Several threads keep the books; at the end they do not balance. `trapline demo` shows who wrote
// to them.

#include <chrono>
#include <cstdio>
#include <latch>
#include <thread>
#include <vector>

#include "ledger.h"

namespace {

constexpr int kTellers = 3;
constexpr int kDeposits = 8;  // of each teller to each account
constexpr long kAmount = 100;
constexpr std::chrono::milliseconds kPause{10};

// Owners are registered in the middle of the day, however slow the machine is: before the first
// deposit the bug would do no harm.
std::latch half_time{kTellers};

void work_as_teller() {
  for (int round = 0; round < kDeposits; ++round) {
    if (round == kDeposits / 2) half_time.count_down();
    for (int account = 0; account < kAccounts; ++account) deposit(account, kAmount);
    std::this_thread::sleep_for(kPause);
  }
}

void register_owners() {
  const char* const names[kAccounts] = {"Ada Lovelace", "Alan Turing", "Barbara Liskov B",
                                        "Edsger Dijkstra"};
  half_time.wait();
  for (int account = 0; account < kAccounts; ++account) set_owner(account, names[account]);
}

}  // namespace

int main() {
  std::vector<std::thread> threads;
  for (int teller = 0; teller < kTellers; ++teller) threads.emplace_back(work_as_teller);
  threads.emplace_back(register_owners);
  for (std::thread& thread : threads) thread.join();

  const long expected = kTellers * kDeposits * kAmount;
  for (const Account& account : ledger.accounts) {
    std::printf("%-16.16s %6ld%s\n", account.owner, account.balance,
                account.balance == expected ? "" : "  <- wrong");
  }
  return 0;
}
