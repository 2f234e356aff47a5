/** That of package.json, which is not at the same place in a clone and in a package. */
export const version = '0.1.0';
