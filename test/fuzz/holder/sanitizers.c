/* What the sanitizers do, compiled in: holders start with an empty environment. LOGS: where what they find is written. */
const char *__asan_default_options(void);
const char *__ubsan_default_options(void);

const char *__asan_default_options(void)
{
	return "detect_leaks=0:exitcode=86:log_path=" LOGS;
}

const char *__ubsan_default_options(void)
{
	return "print_stacktrace=1:exitcode=86:log_path=" LOGS;
}
