#include "gpu/simt/queues.h"

#include <fmt/format.h>

#include <algorithm>
#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "gpu/device.h"
#include "gpu/simt/devices.h"
#include "gpu/simt/faults.h"
#include "gpu/simt/run_grid.h"

namespace cairn::gpu::simt {

namespace {

struct Entry {
  std::string doing;
  Task task;    ///< none: a wait
  Point after;  ///< runs when this is done
};

}  // namespace

struct Queue {
  uint64_t name = 0;
  unsigned device = 0;
  bool is_held = false;
  uint64_t enqueued = 0, done = 0;
  std::deque<Entry> entries;
};

namespace {

enum class Pace : uint8_t { kAtOnce, kDrawn, kLate };

bool is_past(const Point& point) {
  return point.queue == nullptr || point.queue->done >= point.number;
}

bool can_run(const Queue& queue) {
  return !queue.is_held && !queue.entries.empty() && is_past(queue.entries.front().after);
}

/// The queue whose first task is to run before the point can be done; nullptr where one is held.
Queue* needed_for(const Point& point) {
  Queue* queue = point.queue.get();
  while (!queue->is_held && !can_run(*queue)) queue = queue->entries.front().after.queue.get();
  return queue->is_held ? nullptr : queue;
}

/// All that is enqueued anywhere. The lock is held by all that is called of it.
struct World {
  std::mutex lock;
  std::map<void*, std::shared_ptr<Queue>> streams;
  std::vector<std::shared_ptr<Queue>> queues;  ///< those too whose stream is destroyed
  uint64_t names = 0;
  Pace pace = Pace::kDrawn;
  std::mt19937_64 random{1};
  std::optional<std::string> broken;
  uint64_t breaks_after = kNever;
  std::string breaks_with;
  std::map<std::string, uint64_t> launches;  ///< by the kernel's name
  uint64_t vain_waits = 0;

  size_t draw(size_t below) { return random() % below; }
  Status check(std::string_view doing) const;
  Result<std::shared_ptr<Queue>> find(Stream stream, std::string_view doing) const;
  void add(const std::shared_ptr<Queue>& queue, Entry entry);
  void run(Queue& queue);
  void run_some();
  Queue* draw_queue();
  Status run_until(const Point& point, std::string_view doing);
  void break_all(const std::string& message);
};

/// Never destroyed: objects of statics may come back at the end of the process.
World& world() {
  static World* const all = new World;
  return *all;
}

Status World::check(std::string_view doing) const {
  if (broken) {
    return fail(Code::kFailed, fmt::format("{}: {}", doing, *broken),
                "the device takes no more work of this process");
  }
  if (devices() == 0) {
    return fail(Code::kFailed,
                fmt::format("{}: no CUDA-capable device is detected (simulated)", doing));
  }
  return {};
}

Result<std::shared_ptr<Queue>> World::find(Stream stream, std::string_view doing) const {
  const auto found = streams.find(stream.handle);
  if (found != streams.end()) return found->second;
  return fail(Code::kFailed,
              fmt::format("{}: invalid resource handle (simulated): no stream is at {}", doing,
                          fmt::ptr(stream.handle)));
}

void World::add(const std::shared_ptr<Queue>& queue, Entry entry) {
  queue->entries.push_back(std::move(entry));
  ++queue->enqueued;
  run_some();
}

void World::run(Queue& queue) {
  const Entry entry = std::move(queue.entries.front());
  queue.entries.pop_front();
  ++queue.done;
  if (!entry.task) return;
  if (breaks_after != kNever && breaks_after-- == 0) {
    breaks_after = kNever;
    break_all(breaks_with);
    return;
  }
  if (const Status status = entry.task(); !status) break_all(status.error().message);
}

/// One that can run; nullptr where none can.
Queue* World::draw_queue() {
  std::vector<Queue*> found;
  for (const auto& queue : queues) {
    if (can_run(*queue)) found.push_back(queue.get());
  }
  return found.empty() ? nullptr : found[draw(found.size())];
}

/// What the schedule lets run now.
void World::run_some() {
  if (pace == Pace::kLate) return;
  // How eager the device is differs from call to call: nothing, some, or all.
  const size_t eagerness = pace == Pace::kAtOnce ? 3 : draw(4);
  while (eagerness == 3 || draw(3) < eagerness) {
    Queue* const queue = draw_queue();
    if (queue == nullptr) return;
    run(*queue);
  }
}

Status World::run_until(const Point& point, std::string_view doing) {
  while (!broken && !is_past(point)) {
    Queue* const needed = needed_for(point);
    if (needed == nullptr) {
      ++vain_waits;
      Point at = point;
      while (!at.queue->is_held) at = at.queue->entries.front().after;
      const auto& entries = at.queue->entries;
      return fail(Code::kFailed,
                  fmt::format("{}: waits in vain for stream {}, which is held before {}", doing,
                              at.queue->name, entries.empty() ? "its end" : entries[0].doing));
    }
    run(pace == Pace::kLate || draw(2) == 0 ? *needed : *draw_queue());
  }
  return check(doing);
}

/// What waits is lost, and so is what it would have waited for.
void World::break_all(const std::string& message) {
  broken = message;
  for (const auto& queue : queues) {
    queue->entries.clear();
    queue->done = queue->enqueued;
  }
}

}  // namespace

Status check_devices(std::string_view doing) {
  World& all = world();
  const std::lock_guard guard(all.lock);
  all.run_some();
  return all.check(doing);
}

Result<unsigned> device_of(Stream stream, std::string_view doing) {
  if (stream.handle == nullptr) return current_device_number();
  World& all = world();
  const std::lock_guard guard(all.lock);
  CAIRN_TRY(const auto queue, all.find(stream, doing));
  return queue->device;
}

Status check_current(Stream stream, std::string_view doing) {
  CAIRN_TRY(const unsigned device, device_of(stream, doing));
  const unsigned current = current_device_number();
  if (device == current) return {};
  return fail(Code::kFailed,
              fmt::format("{}: invalid resource handle (simulated): the stream is of device {}, "
                          "and {} is current",
                          doing, device, current));
}

Result<void*> make_queue(unsigned device) {
  make_context();
  CAIRN_CHECK(check_devices("making a stream of the device"));
  World& all = world();
  const std::lock_guard guard(all.lock);
  auto queue = std::make_shared<Queue>();
  queue->name = ++all.names;
  queue->device = device;
  // Never the handle of an earlier one, and no address.
  void* const handle = reinterpret_cast<void*>(queue->name << 12);
  std::erase_if(all.queues,
                [](const auto& old) { return old.use_count() == 1 && old->entries.empty(); });
  all.queues.push_back(queue);
  all.streams.emplace(handle, std::move(queue));
  return handle;
}

Status enqueue(Stream stream, std::string_view doing, Task task) {
  make_context();
  CAIRN_CHECK(check_devices(doing));
  if (stream.handle == nullptr) return task();
  World& all = world();
  const std::lock_guard guard(all.lock);
  CAIRN_TRY(const auto queue, all.find(stream, doing));
  all.add(queue, {std::string(doing), std::move(task), {}});
  return {};
}

Status enqueue_wait(Stream stream, const Point& point) {
  make_context();
  constexpr std::string_view kDoing = "making a stream wait for an event";
  if (stream.handle == nullptr) return wait_until(point, kDoing);
  CAIRN_CHECK(check_devices(kDoing));
  World& all = world();
  const std::lock_guard guard(all.lock);
  CAIRN_TRY(const auto queue, all.find(stream, kDoing));
  all.add(queue, {std::string(kDoing), {}, point});
  return {};
}

Result<Point> end_of(Stream stream, std::string_view doing) {
  make_context();
  CAIRN_CHECK(check_devices(doing));
  if (stream.handle == nullptr) return Point{};
  World& all = world();
  const std::lock_guard guard(all.lock);
  CAIRN_TRY(auto queue, all.find(stream, doing));
  const uint64_t number = queue->enqueued;
  return Point{std::move(queue), number};
}

Status wait_until(const Point& point, std::string_view doing) {
  make_context();
  CAIRN_CHECK(check_devices(doing));
  World& all = world();
  const std::lock_guard guard(all.lock);
  return all.run_until(point, doing);
}

Result<bool> is_done(const Point& point, std::string_view doing) {
  make_context();
  CAIRN_CHECK(check_devices(doing));
  World& all = world();
  const std::lock_guard guard(all.lock);
  if (is_past(point)) return true;
  if (Queue* const needed = needed_for(point)) all.run(*needed);
  CAIRN_CHECK(all.check(doing));
  return false;
}

void run_all(unsigned device) {
  World& all = world();
  const std::lock_guard guard(all.lock);
  while (Queue* const queue = all.draw_queue()) all.run(*queue);
  const bool is_any_held =
      std::any_of(all.queues.begin(), all.queues.end(), [device](const auto& queue) {
        return queue->device == device && queue->is_held && !queue->entries.empty();
      });
  if (is_any_held) ++all.vain_waits;
}

uint64_t take_vain_waits() {
  World& all = world();
  const std::lock_guard guard(all.lock);
  return std::exchange(all.vain_waits, 0);
}

static void note_launch(std::string_view name) {
  World& all = world();
  const std::lock_guard guard(all.lock);
  ++all.launches[std::string(name)];
}

std::map<std::string, uint64_t> take_launches() {
  World& all = world();
  const std::lock_guard guard(all.lock);
  return std::exchange(all.launches, {});
}

Status launch_grid(Stream stream, std::string_view name, unsigned blocks, unsigned threads,
                   std::function<void()> body) {
  const std::string doing = fmt::format("starting kernel {}", name);
  CAIRN_CHECK(check_grid(name, blocks, threads));
  CAIRN_CHECK(check_current(stream, doing));
  note_launch(name);
  return enqueue(stream, doing, [name, blocks, threads, body = std::move(body)] {
    return run_grid(name, blocks, threads, body);
  });
}

void set_queue_schedule(uint64_t seed) {
  World& all = world();
  const std::lock_guard guard(all.lock);
  constexpr Pace kPaces[] = {Pace::kAtOnce, Pace::kDrawn, Pace::kLate};
  all.pace = kPaces[seed % 3];
  all.random.seed(seed);
}

void break_device(const std::string& message) {
  World& all = world();
  const std::lock_guard guard(all.lock);
  all.break_all(message);
}

void break_device_after(uint64_t count, const std::string& message) {
  World& all = world();
  const std::lock_guard guard(all.lock);
  all.breaks_after = count;
  all.breaks_with = message;
}

void mend_device() {
  World& all = world();
  const std::lock_guard guard(all.lock);
  all.broken.reset();
  all.breaks_after = kNever;
}

void destroy_stream(Stream stream) {
  World& all = world();
  const std::lock_guard guard(all.lock);
  all.streams.erase(stream.handle);
}

static void set_held(Stream stream, bool is_held) {
  World& all = world();
  const std::lock_guard guard(all.lock);
  const auto found = all.streams.find(stream.handle);
  if (found != all.streams.end()) found->second->is_held = is_held;
}

void hold_stream(Stream stream) { set_held(stream, true); }
void release_stream(Stream stream) { set_held(stream, false); }

}  // namespace cairn::gpu::simt
