// The commands of the program, each in its own cli/cmd_<name>.cc. Adding one takes its options
// (cli/options.h), its declaration and its line in all_commands(), its source in cli/meson.build
// and its page docs/cli/<name>.md.
#pragma once

#include <atomic>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "cli/flags.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/progress.h"

namespace cairn {

struct Command;

/// What a command runs with. Lives as long as the call.
struct Context {
  Output& output;
  std::string store;  ///< folder or URL; not empty for commands that need a store
  ProgressMode progress = ProgressMode::kAuto;
  RemoteFlags remote;
  const std::atomic<bool>& stop;  ///< set by Ctrl-C and SIGTERM: end soon with kCancelled
  std::span<const Command> commands;
  /// What goes over the network, to whatever place.
  const std::shared_ptr<remote::RemoteCounters> network =
      std::make_shared<remote::RemoteCounters>();
};

enum class Needs : uint8_t { kNothing, kStore };

/// A command, without the type of its options.
struct Command {
  std::string name;
  Needs needs = Needs::kNothing;
  /// For programs only: in no overview and no suggestion.
  bool is_hidden() const { return name.starts_with("__"); }
  /// Declares the flags into the set and returns what runs them, once the set's targets are filled.
  std::function<std::function<int(const Context&)>(FlagSet&)> prepare;
};

template <class Options>
Command command(std::string name, Needs needs, int (*run)(const Context&, const Options&)) {
  auto prepare = [run](FlagSet& flags) -> std::function<int(const Context&)> {
    auto options = std::make_shared<Options>();
    declare(flags, *options);
    return [options, run](const Context& context) { return run(context, *options); };
  };
  return {std::move(name), needs, std::move(prepare)};
}

/// In the order of the overview.
std::span<const Command> all_commands();

/// Each does the work, prints, and returns the exit status (errors by `context.output.fail`).
int cmd_init(const Context& context, const InitOptions& options);
int cmd_import(const Context& context, const ImportOptions& options);
int cmd_export(const Context& context, const ExportOptions& options);
int cmd_ls(const Context& context, const LsOptions& options);
int cmd_show(const Context& context, const ShowOptions& options);
int cmd_diff(const Context& context, const DiffOptions& options);
int cmd_cat(const Context& context, const CatOptions& options);
int cmd_stats(const Context& context, const StatsOptions& options);
int cmd_report(const Context& context, const ReportOptions& options);
int cmd_tag(const Context& context, const TagOptions& options);
int cmd_pin(const Context& context, const PinOptions& options);
int cmd_unpin(const Context& context, const UnpinOptions& options);
int cmd_forget(const Context& context, const ForgetOptions& options);
int cmd_gc(const Context& context, const GcOptions& options);
int cmd_push(const Context& context, const PushOptions& options);
int cmd_pull(const Context& context, const PullOptions& options);
int cmd_remote(const Context& context, const RemoteTestOptions& options);
int cmd_check(const Context& context, const CheckOptions& options);
int cmd_index(const Context& context, const IndexOptions& options);
int cmd_repair(const Context& context, const RepairOptions& options);
int cmd_completion(const Context& context, const CompletionOptions& options);
int cmd_complete(const Context& context, const CompleteOptions& options);
int cmd_version(const Context& context, const VersionOptions& options);
int cmd_help(const Context& context, const HelpOptions& options);

}  // namespace cairn
