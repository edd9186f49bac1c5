# Seeded mutations of the hotplug state machine. The explorer has to find each; one that it misses fails its test.
#
#   mutation(NAME (HEADER FIND REPLACE)...)
#
# HEADER is below include/trapline/hotplug; FIND must be in it exactly once. What reads this file defines mutation().

# --- locks that are missing ---
mutation(read_lock_removed_from_setup
  state_machine.h [=[return with_read_lock([&] { return setup_state_cpuslocked(definition); });]=]
                  [=[return setup_state_cpuslocked(definition);]=]
  detail/state_machine_setup.h
    [=[if (const auto allowed = check_caller(true); !allowed) return std::unexpected(allowed.error());]=] [=[]=])
mutation(read_lock_removed_from_remove
  state_machine.h [=[return with_read_lock([&] { return remove_state_cpuslocked(handle); });]=]
                  [=[return remove_state_cpuslocked(handle);]=]
  detail/state_machine_setup.h
    [=[auto StateMachine<Port>::remove(StateHandle& handle, bool calls) -> Outcome {
  if (const auto allowed = check_caller(true); !allowed) return allowed;]=]
    [=[auto StateMachine<Port>::remove(StateHandle& handle, bool calls) -> Outcome {]=])
mutation(state_mutex_removed_from_setup
  detail/state_machine_setup.h
    [=[const std::lock_guard lock(state_mutex_);
  const auto number = table_.reserve(definition, form.multi);]=]
    [=[const auto number = table_.reserve(definition, form.multi);]=])
mutation(state_mutex_covers_the_table_only
  detail/state_machine_setup.h
    [=[const std::lock_guard lock(state_mutex_);
  const auto number = table_.reserve(definition, form.multi);]=]
    [=[const auto number = [&] {
    const std::lock_guard lock(state_mutex_);
    return table_.reserve(definition, form.multi);
  }();]=])
mutation(state_mutex_removed_from_add
  detail/state_machine_setup.h
    [=[const std::lock_guard lock(state_mutex_);
  if (const auto valid = check_handle(handle); !valid) return valid;
  StateRecord& state = table_.at(handle.number());
  if (!state.is_multi) return std::unexpected(Error{ErrorCode::not_multi_instance});
  if (instance.is_added())]=]
    [=[if (const auto valid = check_handle(handle); !valid) return valid;
  StateRecord& state = table_.at(handle.number());
  if (!state.is_multi) return std::unexpected(Error{ErrorCode::not_multi_instance});
  if (instance.is_added())]=])
mutation(control_mutex_removed
  state_machine.h
    [=[const std::lock_guard control(control_mutex_);
    if (const auto possible]=]
    [=[if (const auto possible]=])
mutation(write_lock_removed
  detail/state_machine_walk.h [=[online_cpus_.write_lock();]=] [=[]=])
mutation(write_lock_released_before_the_walk
  detail/state_machine_walk.h
    [=[const Outcome outcome = transition(cpu, target, departure);
  online_cpus_.write_unlock();]=]
    [=[online_cpus_.write_unlock();
  const Outcome outcome = transition(cpu, target, departure);]=])
mutation(request_checked_before_the_control_mutex
  state_machine.h
    [=[const std::lock_guard control(control_mutex_);
    if (const auto possible = check_request(cpu, target); !possible) return possible;]=]
    [=[if (const auto possible = check_request(cpu, target); !possible) return possible;
    const std::lock_guard control(control_mutex_);]=])

# --- the handshake of the read lock ---
mutation(heavy_fence_removed online_cpus.h [=[port_.asymmetric_fence_heavy();]=] [=[]=])
mutation(reader_does_not_look online_cpus.h [=[return writer_.load_acquire() == 0;]=] [=[return true;]=])
mutation(reader_announces_after_its_look
  online_cpus.h
    [=[slot.held.store_relaxed(1);
    port_.asymmetric_fence_light();
    // Pairs with the release in write_unlock: cpus_ is seen as the last writer left it.
    return writer_.load_acquire() == 0;]=]
    [=[const bool may_enter = writer_.load_acquire() == 0;
    slot.held.store_relaxed(1);
    port_.asymmetric_fence_light();
    return may_enter;]=])
mutation(writer_announces_after_its_look
  online_cpus.h
    [=[writer_.store_relaxed(1);
    port_.asymmetric_fence_heavy();]=]
    [=[port_.asymmetric_fence_heavy();]=]
  online_cpus.h
    [=[while (slot.held.load_acquire() != 0) port_.wait_while_equal(slot.held, 1);
    });]=]
    [=[while (slot.held.load_acquire() != 0) port_.wait_while_equal(slot.held, 1);
    });
    writer_.store_relaxed(1);]=])
mutation(writer_does_not_wait_for_readers
  online_cpus.h [=[while (slot.held.load_acquire() != 0) port_.wait_while_equal(slot.held, 1);]=]
                [=[static_cast<void>(slot);]=])
mutation(writer_waits_once
  online_cpus.h [=[while (slot.held.load_acquire() != 0) port_.wait_while_equal(slot.held, 1);]=]
                [=[if (slot.held.load_acquire() != 0) port_.wait_while_equal(slot.held, 1);]=])
mutation(reader_waits_once
  online_cpus.h [=[} while (!try_enter(slot));]=] [=[} while (!try_enter(slot) && false);]=])
mutation(waiting_reader_keeps_its_slot
  online_cpus.h
    [=[leave(slot);
      port_.wait_while_equal(writer_, 1);]=]
    [=[port_.wait_while_equal(writer_, 1);]=])
mutation(reader_does_not_wake_the_writer
  online_cpus.h
    [=[if (writer_.load_relaxed() != 0) [[unlikely]]
      port_.wake(slot.held);]=]
    [=[]=])
mutation(reader_wakes_before_it_leaves
  online_cpus.h
    [=[slot.held.store_release(0);
    // The same handshake: either the writer's look at the slot sees 0, or this look sees the
    // writer.
    port_.asymmetric_fence_light();
    if (writer_.load_relaxed() != 0) [[unlikely]]
      port_.wake(slot.held);]=]
    [=[if (writer_.load_relaxed() != 0) [[unlikely]]
      port_.wake(slot.held);
    slot.held.store_release(0);]=])
mutation(writer_does_not_wake_readers online_cpus.h [=[port_.wake(writer_);]=] [=[]=])

# --- order, rollback, and who is called ---
mutation(setup_rollback_reversed
  detail/state_machine_setup.h
    [=[for (std::size_t index = end; index-- > 0;) {]=]
    [=[for (std::size_t index = 0; index < end; ++index) {]=])
mutation(setup_rollback_calls_the_failed_cpu
  detail/state_machine_setup.h [=[stop_below(index, number, instance);]=] [=[stop_below(index + 1, number, instance);]=])
mutation(setup_rollback_forgotten
  detail/state_machine_setup.h [=[[[maybe_unused]] const auto stopped = stop_below(index, number, instance);]=] [=[]=])
mutation(walk_rollback_calls_the_failed_state
  detail/state_machine_walk.h
    [=[if (const auto run = run_step(cpu, next, Direction::startup, nullptr, site); !run) return run;
    status.state = next;]=]
    [=[const auto run = run_step(cpu, next, Direction::startup, nullptr, site);
    status.state = next;
    if (!run) return run;]=])
mutation(walk_rollback_forgotten
  detail/state_machine_walk.h
    [=[const Outcome undone = upwards ? lower(cpu, start, departure) : raise(cpu, start);]=]
    [=[const Outcome undone;]=])
mutation(walk_goes_down_in_startup_order
  detail/state_machine_walk.h
    [=[if (const auto run = run_step(cpu, status.state, Direction::teardown, nullptr, site); !run)
      return run;]=]
    [=[const StateNumber mirrored{static_cast<std::uint16_t>(end.value + 1 + first.value - status.state.value)};
    if (const auto run = run_step(cpu, mirrored, Direction::teardown, nullptr, site); !run)
      return run;]=]
  detail/state_machine_walk.h
    [=[while (status.state > end) {]=]
    [=[const StateNumber first = status.state;
  while (status.state > end) {]=])
mutation(instance_rollback_reversed
  detail/state_machine_walk.h
    [=[for (Instance* done = step(*it, !forward); done != nullptr; done = step(*done, !forward)) {]=]
    [=[for (Instance* done = forward ? instances.first() : instances.last(); done != it;
         done = step(*done, forward)) {]=])
mutation(instances_stopped_in_the_order_added
  detail/state_machine_walk.h
    [=[const bool forward = direction == Direction::startup;]=] [=[const bool forward = true;]=])
mutation(online_too_early
  detail/state_machine_walk.h
    [=[if (!started) return started;
    } else if (next == layout().running()) {
      online_cpus_.cpus_.insert(cpu);]=]
    [=[if (!started) return started;
      online_cpus_.cpus_.insert(cpu);]=])
mutation(online_too_long
  detail/state_machine_walk.h
    [=[if (status.state == layout().running()) {
      online_cpus_.cpus_.erase(cpu);
    } else if (status.state == layout().bringup()) {]=]
    [=[if (status.state == layout().bringup()) {
      online_cpus_.cpus_.erase(cpu);]=])
mutation(startups_only_on_cpus_past_the_state
  detail/state_machine_setup.h [=[record(cpu).status.state < number]=] [=[record(cpu).status.state <= number]=])
mutation(startups_on_every_cpu
  detail/state_machine_setup.h [=[if (record(cpu).status.state < number) return {};]=] [=[]=])
mutation(teardowns_forgotten_in_removal
  detail/state_machine_setup.h [=[const bool has_run = calls && !state.is_multi;]=] [=[const bool has_run = false && calls && !state.is_multi;]=])
