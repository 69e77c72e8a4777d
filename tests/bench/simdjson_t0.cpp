// simdjson_t0.cpp - the same reading by simdjson 3: one number of each event, one thread, the host's chunk size.
//
//   simdjson_t0 ondemand|lines|dom FILE [CHUNK_BYTES]
//
// ondemand: iterate_many, skips what it does not read (the bar's peer: it does not validate the rest of a document);
// lines: on-demand too, one iterate() a line; dom: parse_many, which checks every byte and builds each document.
// Compiled without threads. The haswell kernel is forced, whatever the processor has; on-demand is compiled for it (-march=haswell).
// Prints the count of amounts above 100 to stderr.
#include <fcntl.h>
#include <simdjson.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

using namespace simdjson;

namespace {

long count_ondemand(ondemand::parser &parser, const char *text, size_t len, size_t capacity) {
  long count = 0;
  ondemand::document_stream docs;
  if (parser.iterate_many(text, len, capacity).get(docs)) return -1;
  for (auto it = docs.begin(); it != docs.end(); ++it) {
    double amount;
    auto doc = *it;
    if (doc.find_field("amount").get_double().get(amount)) return -1;
    count += amount > 100;
  }
  return count;
}

long count_lines(ondemand::parser &parser, const char *text, size_t len, size_t capacity) {
  long count = 0;
  for (const char *p = text, *end = text + len; p < end;) {
    const char *lf = static_cast<const char *>(memchr(p, '\n', static_cast<size_t>(end - p)));
    ondemand::document doc;
    double amount;
    auto line = padded_string_view(p, static_cast<size_t>(lf - p), capacity - static_cast<size_t>(p - text));
    if (parser.iterate(line).get(doc) || doc.find_field("amount").get_double().get(amount)) return -1;
    count += amount > 100;
    p = lf + 1;
  }
  return count;
}

long count_dom(dom::parser &parser, const char *text, size_t len, size_t capacity) {
  long count = 0;
  dom::document_stream docs;
  if (parser.parse_many(text, len, capacity).get(docs)) return -1;
  for (auto doc : docs) {
    double amount;
    if (doc["amount"].get_double().get(amount)) return -1;
    count += amount > 100;
  }
  return count;
}

}  // namespace

int main(int argc, char **argv) {
  if (argc < 3) {
    fputs("usage: simdjson_t0 ondemand|lines|dom FILE [CHUNK_BYTES]\n", stderr);
    return 2;
  }
  const std::string mode = argv[1];
  const size_t chunk = argc > 3 ? strtoul(argv[3], nullptr, 10) : 256 * 1024;
  auto haswell = get_available_implementations()["haswell"];
  if (haswell == nullptr || !haswell->supported_by_runtime_system()) {
    fputs("simdjson_t0: this processor does not run the haswell kernel\n", stderr);
    return 3;
  }
  get_active_implementation() = haswell;
  const size_t capacity = chunk + SIMDJSON_PADDING;
  std::unique_ptr<char[]> text(new char[capacity]());
  const int fd = open(argv[2], O_RDONLY);
  ondemand::parser reader;
  dom::parser builder;
  long count = 0;
  size_t have = 0;
  ssize_t n = fd < 0 ? -1 : 0;
  while (fd >= 0 && (n = read(fd, text.get() + have, chunk - have)) > 0) {
    have += static_cast<size_t>(n);
    const char *lf = static_cast<const char *>(memrchr(text.get(), '\n', have));
    const size_t whole = lf == nullptr ? 0 : static_cast<size_t>(lf - text.get()) + 1;
    const long found = whole == 0         ? 0
                       : mode == "dom"    ? count_dom(builder, text.get(), whole, chunk)
                       : mode == "lines"  ? count_lines(reader, text.get(), whole, capacity)
                                          : count_ondemand(reader, text.get(), whole, chunk);
    if (found < 0) {
      fputs("simdjson_t0: a document cannot be read\n", stderr);
      return 1;
    }
    count += found;
    have -= whole;
    memmove(text.get(), text.get() + whole, have);
  }
  if (n < 0) {
    perror("simdjson_t0");
    return 1;
  }
  fprintf(stderr, "%ld\n", count);
  return 0;
}
