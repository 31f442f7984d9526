// stl ELEMENTS: containers and algorithms of the standard library, which without optimization are thousands of
// calls of hundreds of functions with long names. It cannot count its own calls: hooks/count.c does.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <unordered_map>
#include <vector>

static unsigned next_number()
{
    static unsigned state = 1;
    state = state * 1103515245u + 12345u;
    return state >> 8;
}

static long fill_and_sort(int elements)
{
    std::vector<int> numbers;
    for (int i = 0; i < elements; i++)
        numbers.push_back(static_cast<int>(next_number()));
    std::sort(numbers.begin(), numbers.end());
    return numbers.front();
}

static long count_words(int elements)
{
    std::unordered_map<std::string, int> counts;
    for (int i = 0; i < elements; i++)
        counts["word " + std::to_string(next_number() % 1000)]++;
    return static_cast<long>(counts.size());
}

static long sum_by_key(int elements)
{
    std::map<int, std::function<long()>> actions;
    for (int i = 0; i < elements; i++)
        actions[static_cast<int>(next_number())] = [i] { return static_cast<long>(i); };
    long sum = 0;
    for (const auto &action : actions)
        sum += action.second();
    return sum;
}

int main(int argc, char **argv)
{
    int elements = argc > 1 ? std::atoi(argv[1]) : 1000;
    long result = fill_and_sort(elements) + count_words(elements) + sum_by_key(elements);
    return result == 42;
}
