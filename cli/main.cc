// The program `cairn`.
#include <string>
#include <vector>

#include "cli/commands.h"
#include "cli/run.h"
#include "cli/signals.h"

int main(int argc, char** argv) {
  cairn::install_signal_handlers();
  const std::vector<std::string> words(argv + (argc > 0 ? 1 : 0), argv + argc);
  return cairn::run(cairn::all_commands(), words, {});
}
