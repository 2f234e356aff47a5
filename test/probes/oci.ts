/** What our containers' config.json has; the OCI runtime specification says what it means. */
export interface OciConfig {
  readonly process: {
    readonly user: { readonly uid: number; readonly gid: number; readonly umask?: number };
    readonly noNewPrivileges: boolean;
    readonly capabilities: Readonly<Record<string, readonly string[]>>;
    readonly rlimits: readonly { readonly type: string; readonly soft: number; readonly hard: number }[];
  };
  readonly mounts: readonly {
    readonly destination: string;
    readonly type: string;
    readonly source: string;
    readonly options: readonly string[];
  }[];
  readonly linux: {
    readonly namespaces: readonly { readonly type: string; readonly path?: string }[];
    readonly maskedPaths: readonly string[];
    readonly readonlyPaths: readonly string[];
    readonly rootfsPropagation: string;
  };
  readonly annotations: Readonly<Record<string, string>>;
}

/** The annotation that holds the compiled filter, in base64. */
export const filterAnnotation = 'run.oci.seccomp_bpf_data';
