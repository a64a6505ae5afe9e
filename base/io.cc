#include "base/io.h"

#include <algorithm>
#include <atomic>
#include <mutex>
#include <thread>

#include "base/memory_guard.h"

namespace cairn {

namespace {

/// So much at once is asked of the disk beside what is still written (RocksDB's bytes_per_sync is
/// the idea).
constexpr uint64_t kWriteBackBytes = 8 * kMiB;

struct Staged {
  AlignedBuffer buffer;
  uint64_t bytes = 0;   // filled
  uint64_t offset = 0;  // in the file
};

}  // namespace

struct AppendWriter::State {
  State() : free(kBuffers), full(kBuffers) {}

  std::unique_ptr<File> file;
  std::atomic<uint64_t>* backlog = nullptr;
  WriteMode mode = WriteMode::kBehind;
  BoundedQueue<AlignedBuffer> free;
  BoundedQueue<Staged> full;
  Staged current;
  Bytes held;                 // with kThrough: the last bytes
  uint64_t written_back = 0;  // with kThrough: up to there the kernel was asked to begin
  size_t buffers_made = 0;
  uint64_t position = 0;
  std::atomic<bool> failed{false};
  std::mutex mutex;
  Status error;  // of the writing thread; under mutex
  std::jthread thread;

  Status check() {
    if (!failed) return {};
    const std::lock_guard lock(mutex);
    return error;
  }

  void write_all() {
    while (auto staged = full.pop()) {
      if (!failed) {
        Status written = guard_memory([&] { return write(*staged); });
        if (!written) {
          const std::lock_guard lock(mutex);
          error = std::move(written);
          failed = true;
        }
      }
      if (backlog != nullptr) *backlog -= staged->bytes;
      free.push(std::move(staged->buffer));
    }
  }

  Status write(const Staged& staged) {
    // Direct writes are of whole blocks; finish() cuts the file to its length.
    uint64_t bytes = staged.bytes;
    if (file->direct()) {
      bytes = round_up(bytes, kDirectAlignment);
      std::fill(staged.buffer.data() + staged.bytes, staged.buffer.data() + bytes, uint8_t{0});
    }
    return file->write_at(staged.offset, staged.buffer.span().first(bytes));
  }

  Status append_through(ByteSpan data) {
    if (held.size() + data.size() > kHeldBytes) CAIRN_CHECK(settle());
    if (data.size() > kHeldBytes) {
      CAIRN_CHECK(file->write_at(position, data));
      position += data.size();
      write_back();
    } else {
      append_bytes(held, data);
      position += data.size();
    }
    return {};
  }

  /// Else all of a pack would wait for its sync.
  void write_back() {
    const uint64_t written = position - held.size();
    if (written - written_back < kWriteBackBytes) return;
    file->write_back(written_back, written - written_back);
    written_back = written;
  }

  Status settle() {
    if (held.empty()) return {};
    CAIRN_CHECK(file->write_at(position - held.size(), held));
    held.clear();
    write_back();
    return {};
  }

  void next_buffer() {
    if (buffers_made < kBuffers) {
      current.buffer = AlignedBuffer(kBufferBytes);
      ++buffers_made;
    } else if (auto buffer = free.pop()) {
      current.buffer = std::move(*buffer);
    }
    current.bytes = 0;
    current.offset = position;
  }

  void submit() {
    if (current.bytes == 0) return;
    if (backlog != nullptr) *backlog += current.bytes;
    full.push(std::move(current));
    current = Staged{};
  }
};

AppendWriter::AppendWriter(std::unique_ptr<State> state) : state_(std::move(state)) {}

AppendWriter::~AppendWriter() { state_->full.close(); }

Result<std::unique_ptr<AppendWriter>> AppendWriter::create(Fs& fs, const std::string& path,
                                                           std::atomic<uint64_t>* backlog,
                                                           WriteMode mode) {
  auto state = std::make_unique<State>();
  state->backlog = backlog;
  state->mode = mode;
  if (mode == WriteMode::kThrough) {
    CAIRN_TRY(state->file, fs.open(path, OpenMode::kCreate));
    return std::unique_ptr<AppendWriter>(new AppendWriter(std::move(state)));
  }
  CAIRN_TRY(state->file, fs.open(path, OpenMode::kCreateDirect));
  State* raw = state.get();
  // The thread last: whatever throws before it leaves none that waits for ever.
  std::unique_ptr<AppendWriter> writer(new AppendWriter(std::move(state)));
  raw->thread = std::jthread([raw] { raw->write_all(); });
  return writer;
}

Status AppendWriter::append(ByteSpan data) {
  State& state = *state_;
  CAIRN_CHECK(state.check());
  if (state.mode == WriteMode::kThrough) return state.append_through(data);
  while (!data.empty()) {
    if (state.current.buffer.size() == 0) state.next_buffer();
    const size_t bytes = std::min<size_t>(data.size(), kBufferBytes - state.current.bytes);
    std::memcpy(state.current.buffer.data() + state.current.bytes, data.data(), bytes);
    state.current.bytes += bytes;
    state.position += bytes;
    data = data.subspan(bytes);
    if (state.current.bytes == kBufferBytes) state.submit();
  }
  return {};
}

Status AppendWriter::pad_to(uint64_t alignment) {
  static constexpr std::array<uint8_t, kDirectAlignment> kZeros{};
  uint64_t missing = round_up(state_->position, alignment) - state_->position;
  while (missing > 0) {
    const uint64_t bytes = std::min<uint64_t>(missing, kZeros.size());
    CAIRN_CHECK(append(ByteSpan(kZeros).first(bytes)));
    missing -= bytes;
  }
  return {};
}

Status AppendWriter::settle() { return state_->settle(); }

uint64_t AppendWriter::position() const { return state_->position; }

Status AppendWriter::finish() {
  State& state = *state_;
  CAIRN_CHECK(state.settle());
  state.submit();
  state.full.close();
  if (state.thread.joinable()) state.thread.join();
  CAIRN_CHECK(state.check());
  if (state.file->direct()) CAIRN_CHECK(state.file->truncate(state.position));
  return state.file->sync();
}

}  // namespace cairn
