#include <stdio.h>

/* Greets each name of the command line, or the world. */
int main(int argc, char **argv)
{
	if (argc == 1)
		puts("Hello, world!");
	for (int i = 1; i < argc; i++)
		printf("Hello, %s!\n", argv[i]);
	return fflush(stdout) == 0 ? 0 : 1;
}
