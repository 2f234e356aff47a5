#define _POSIX_C_SOURCE 200809L
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Counts the lines of standard input: prints each one once, with how often it came, the most frequent first. */

struct line {
	char *text;
	unsigned long count;
};

static int by_text(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int by_count(const void *a, const void *b)
{
	const struct line *x = a, *y = b;
	if (x->count != y->count)
		return x->count < y->count ? 1 : -1;
	return strcmp(x->text, y->text);
}

static void *enough(void *memory)
{
	if (!memory) {
		perror("tally");
		exit(1);
	}
	return memory;
}

int main(int argc, char **argv)
{
	char **texts = NULL, *text = NULL;
	size_t count = 0, room = 0, size = 0, different = 0;
	struct line *lines;

	if (argc > 1) {
		int version = argc == 2 && !strcmp(argv[1], "--version");
		fputs(version ? "tally " VERSION "\n" : "usage: tally <FILE\n", version ? stdout : stderr);
		return version ? 0 : 2;
	}
	for (ssize_t length; (length = getline(&text, &size, stdin)) >= 0; count++) {
		if (length > 0 && text[length - 1] == '\n')
			text[length - 1] = '\0';
		if (count == room) {
			room = room ? 2 * room : 1024;
			texts = enough(realloc(texts, room * sizeof *texts));
		}
		texts[count] = enough(strdup(text));
	}
	if (count > 0)
		qsort(texts, count, sizeof *texts, by_text);
	lines = enough(calloc(count + 1, sizeof *lines));
	for (size_t i = 0; i < count; i++) {
		if (i == 0 || strcmp(texts[i], texts[i - 1]))
			lines[different++].text = texts[i];
		lines[different - 1].count++;
	}
	qsort(lines, different, sizeof *lines, by_count);
	for (size_t i = 0; i < different; i++)
		printf("%lu\t%s\n", lines[i].count, lines[i].text);
	if (fflush(stdout)) {
		perror("tally");
		return 1;
	}
	return 0;
}
