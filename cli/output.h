// What a command says: data on stdout, words for people on stderr. Only this unit writes to either.
// Errors of writing stdout are kept and reported once, by finish(); a reader that closed the pipe
// is no error: the rest is dropped quietly. Threads: any (a progress thread shares it with the
// command).
#pragma once

#include <cstdint>
#include <mutex>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace cairn {

enum class JsonMode : uint8_t {
  kNone,
  kDocument,  ///< `--json`: one document on stdout
  kLines,     ///< `--json=lines`: objects with "type" progress, result or error, one a line
};

struct OutputOptions {
  int stdout_fd = 1;
  int stderr_fd = 2;
  JsonMode json = JsonMode::kNone;
  bool quiet = false;  ///< `-q`: names only on stdout, only warnings and errors on stderr
  int verbosity = 0;   ///< how often `-v` was given
};

class Output {
 public:
  explicit Output(OutputOptions options);
  ~Output();
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  bool json() const { return options_.json != JsonMode::kNone; }
  bool json_lines() const { return options_.json == JsonMode::kLines; }
  bool quiet() const { return options_.quiet; }
  bool verbose() const { return options_.verbosity > 0; }
  bool stdout_is_terminal() const { return stdout_is_terminal_; }
  bool stderr_is_terminal() const { return stderr_is_terminal_; }
  /// Width of the terminal behind stderr; 80 where it is not known.
  size_t stderr_columns() const;
  /// Width of the terminal behind stdout; 0 (any) where there is none: files and pipes get whole
  /// lines.
  size_t stdout_columns() const;

  /// Data to stdout as it is. False once nobody can read it any more: the command may stop.
  bool write(ByteSpan data);
  bool print(std::string_view text) { return write(as_bytes(text)); }
  /// The command's JSON result. In lines mode `"type": "result"` is put first. REQUIRES: an object.
  void result(const nlohmann::ordered_json& document);
  /// One `"type": "progress"` line, flushed at once. REQUIRES: lines mode, an object.
  void progress(const nlohmann::ordered_json& fields);

  /// A line on stderr: a note not under -q or --json, a detail only under -v, a warning always.
  void note(std::string_view line);
  void detail(std::string_view line);
  void warn(std::string_view line);
  /// A plain line on stderr whatever the modes (progress, and what SIGUSR1 asked for).
  void status_line(std::string_view line);
  /// Draws or, with "", removes the one line at the bottom of the terminal; other lines go above
  /// it.
  void show_bar(std::string_view bar);

  /// Says the error (JSON on stderr under --json) and returns its exit status.
  int fail(Error error);

  /// `text` in bold where stdout is a terminal that wants colours.
  std::string bold(std::string_view text) const;

  /// Flushes. The status to exit with: `status`, or that of the failure to write stdout.
  int finish(int status);

 private:
  bool write_locked(ByteSpan data);
  void flush_locked();
  void say_locked(std::string_view line);
  void say_error_locked(const Error& error);
  std::string coloured(std::string_view text, const char* code) const;

  const OutputOptions options_;
  const bool stdout_is_terminal_;
  const bool stderr_is_terminal_;
  const bool colour_;  ///< the environment does not speak against colours
  std::mutex mutex_;
  std::string buffer_;   ///< stdout data not written yet
  int write_errno_ = 0;  ///< first failure of writing stdout; EPIPE means that the reader left
  std::string bar_;      ///< what stands at the bottom of the terminal now
};

}  // namespace cairn
