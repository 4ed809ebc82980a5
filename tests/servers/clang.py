# SPDX-License-Identifier: LGPL-2.1-or-later
"""clang, a large program in C++: what it compiles on nearheap must be, byte by byte, what
it compiles on the system's malloc."""

import os
import statistics
import time

import subject

COMPILED = 3
SOURCE = """
#include <algorithm>
#include <functional>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <random>
#include <regex>
#include <sstream>
#include <string>
#include <unordered_map>
#include <variant>
#include <vector>
template <int N> struct level {
    std::map<std::string, std::unordered_map<int, std::vector<level<N - 1>>>> below;
    std::variant<int, std::string, std::shared_ptr<level<N - 1>>> value;
    bool matches(const std::string &text) const
    {
        return std::regex_match(text, std::regex("a+" + std::to_string(N))) ||
               (!below.empty() && below.begin()->second.begin()->second[0].matches(text));
    }
};
template <> struct level<0> {
    bool matches(const std::string &text) const { return text.empty(); }
};
int use(const std::string &text)
{
    level<12> top;
    std::vector<std::string> words(10, text);
    std::sort(words.begin(), words.end(), [](auto &a, auto &b) { return a.size() < b.size(); });
    auto later = std::async([&] { return top.matches(words[0]); });
    return later.get();
}
"""


class Subject(subject.Played):
    title = "clang"
    needs = ("clang++",)
    packages = "clang"

    def prepare(self):
        with open(self.path("source.cc"), "w") as file:
            file.write(SOURCE)
        self.client(self.compile("right.o"))

    def compile(self, name):
        return [self.binary(None), "-std=c++17", "-O1", "-c", "source.cc", "-o", name]

    def command(self):
        return self.compile("made.o")

    def once(self):
        """Compiles; seconds and peak of resident bytes."""
        begun = time.monotonic()
        self.start()
        _, status, used = os.wait4(self.process.pid, 0)
        seconds = time.monotonic() - begun
        self.process.returncode = os.waitstatus_to_exitcode(status)
        self.check("status", self.process.returncode, 0)
        self.check_statistics()
        with open(self.path("right.o"), "rb") as right, open(self.path("made.o"), "rb") as made:
            self.check("what it made is right", made.read() == right.read(), True)
        return seconds, used.ru_maxrss * 1024

    def course(self, settle):
        self.prepare()
        took, peaks = zip(*(self.once() for _ in range(self.work(COMPILED))))
        self.figure("compile", 1 / statistics.median(took), None)
        self.memory["peak"] = max(peaks)
